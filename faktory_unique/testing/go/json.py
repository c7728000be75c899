"""json.Unmarshal: JSON into Go types, with all that Go forgives and what it says of the rest."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import GoTypeError
from .scanner import Number, Tree, parse
from .shapes import (
    Anything,
    Float,
    Integer,
    Map,
    Pointer,
    Shape,
    Slice,
    String,
    Struct,
    Value,
    fold,
    zero,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# The struct that a value is in, and the names that lead there. It is linked rather than joined
# because it is wanted as text only for an error.
_Place: TypeAlias = "tuple[_Place, Struct, str] | None"

# What UnmarshalTypeError calls the nodes of the tree.
_KINDS = {bool: "bool", str: "string", Number: "number", list: "array", tuple: "object"}

# As many digits as uint64 has. Python refuses to read thousands of them.
_MAX_DIGITS = 20


def decode(data: bytes, shape: Shape, into: Value = None) -> Value:
    """What json.Unmarshal makes of the text in a value of the shape, by default a zero one.

    Raises:
        GoError: it is no JSON.
        GoTypeError: something in it has another type; what became of the rest is in `decoded`.
    """
    errors = _Errors()
    target = zero(shape) if into is None else into
    decoded = _store(parse(data), shape, target, None, errors)
    if errors.first is not None:
        raise GoTypeError(errors.first, decoded)
    return decoded


class _Errors:
    """The first error of one json.Unmarshal, which reads on after it."""

    def __init__(self) -> None:
        self.first: str | None = None

    def mismatch(self, node: Tree, shape: Shape, place: _Place) -> None:
        if node is not None:  # null fits everything
            self.add(_KINDS[type(node)], shape.go_name, place)

    def add(self, what: str, go_name: str, place: _Place) -> None:
        """Keep the text of UnmarshalTypeError, as addErrorContext completes it."""
        if self.first is not None:
            return
        where = "value"
        if place is not None:
            struct = place[1].go_name.rpartition(".")[2]
            names: list[str] = []
            while place is not None:
                place, _, name = place
                names.append(name)
            where = f"struct field {struct}.{'.'.join(reversed(names))}"
        self.first = f"json: cannot unmarshal {what} into Go {where} of type {go_name}"


class _Shortened(list[Any]):
    """A slice that has been longer, and what is beyond its end.

    Go comes upon that again when another member of the same name makes the slice grow.
    """

    def __init__(self, items: list[Any], beyond: list[Any]) -> None:
        super().__init__(items)
        self.beyond = beyond


# Each of these returns what `old` becomes when the node of the tree is decoded into it: a member
# that comes twice is decoded into what the first one left (decode.go object).


def _store(node: Tree, shape: Shape, old: Value, place: _Place, errors: _Errors) -> Value:
    return _BY_SHAPE[type(shape)](node, shape, old, place, errors)


def _string(node: Tree, shape: String, old: str, place: _Place, errors: _Errors) -> str:
    if type(node) is str:
        return node
    errors.mismatch(node, shape, place)
    return old


def _integer(node: Tree, shape: Integer, old: int, place: _Place, errors: _Errors) -> int:
    if type(node) is not Number:
        errors.mismatch(node, shape, place)
        return old
    digits = node.removeprefix("-") if shape.low else node
    if digits.isdigit() and len(digits) <= _MAX_DIGITS:
        number = int(node)
        if shape.low <= number <= shape.high:
            return number
    errors.add(f"number {node}", shape.go_name, place)
    return old


def _float(node: Tree, shape: Float, old: float, place: _Place, errors: _Errors) -> float:
    if type(node) is not Number:
        errors.mismatch(node, shape, place)
        return old
    number = _float64(node, place, errors)
    return old if number is None else number


def _float64(node: Number, place: _Place, errors: _Errors) -> float | None:
    number = float(node)
    if not isinf(number):
        return number
    errors.add(f"number {node}", "float64", place)
    return None


def _pointer(node: Tree, shape: Pointer, old: Value, place: _Place, errors: _Errors) -> Value:
    if node is None:
        return None
    return _store(node, shape.of, zero(shape.of) if old is None else old, place, errors)


def _struct(
    node: Tree,
    shape: Struct,
    old: dict[str, Any],
    place: _Place,
    errors: _Errors,
) -> dict[str, Any]:
    if type(node) is not tuple:
        errors.mismatch(node, shape, place)
        return old
    for key, child in node:
        field = shape.by_name.get(key) or shape.by_folded_name.get(fold(key))
        if field is not None:
            name, of = field.name, field.shape
            old[name] = _BY_SHAPE[type(of)](child, of, old[name], (place, shape, name), errors)
    return old


def _map(
    node: Tree,
    shape: Map,
    old: dict[str, Any] | None,
    place: _Place,
    errors: _Errors,
) -> dict[str, Any] | None:
    if type(node) is not tuple:
        errors.mismatch(node, shape, place)
        return None if node is None else old
    entries = {} if old is None else old
    for key, child in node:
        entries[key] = _store(child, shape.of, zero(shape.of), place, errors)
    return entries


def _slice(
    node: Tree,
    shape: Slice,
    old: list[Any] | None,
    place: _Place,
    errors: _Errors,
) -> list[Any] | None:
    if type(node) is not list:
        errors.mismatch(node, shape, place)
        return None if node is None else old
    of = shape.of
    if not old or not node:  # an empty array makes a new slice
        return [_store(child, of, zero(of), place, errors) for child in node]
    kept = [*old, *old.beyond] if isinstance(old, _Shortened) else old
    items = [
        _store(child, of, kept[index] if index < len(kept) else zero(of), place, errors)
        for index, child in enumerate(node)
    ]
    return _Shortened(items, kept[len(items) :]) if len(items) < len(kept) else items


def _anything(node: Tree, _: Anything, old: Value, place: _Place, errors: _Errors) -> Value:
    if type(node) is Number:
        number = _float64(node, place, errors)
        return old if number is None else number
    # A stack of our own, as what nobody looks into may be nested as deep as Go reads.
    root: list[Any] = [None]
    todo: list[tuple[Any, Any, Any]] = [(root, 0, node)]
    while todo:
        target, key, item = todo.pop()
        kind = type(item)
        if kind is Number:
            target[key] = _float64(item, place, errors)
        elif kind is list:
            items: list[Any] = [None] * len(item)
            target[key] = items
            todo += [(items, index, item[index]) for index in range(len(item) - 1, -1, -1)]
        elif kind is tuple:
            entries: dict[str, Any] = {}
            target[key] = entries
            todo += [(entries, name, child) for name, child in reversed(item)]
        else:
            target[key] = item
    return root[0]


_BY_SHAPE: dict[type, Callable[[Tree, Any, Value, _Place, _Errors], Value]] = {
    String: _string,
    Integer: _integer,
    Float: _float,
    Anything: _anything,
    Slice: _slice,
    Map: _map,
    Pointer: _pointer,
    Struct: _struct,
}
