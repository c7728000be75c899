"""One value, one text: the RFC 8785 (JCS) bytes of a JSON value, or the reason there are none.

The value is the one that json.dumps would send. Where the worker would get something else than was
pushed, a rounded integer say, there is no faithful text, and `InvalidJob` says so.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, MappingView
from collections.abc import Set as AbstractSet
from dataclasses import is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Any, TypeAlias
from uuid import UUID

import orjson

from faktory_unique.errors import InvalidJob

from .ecma_number import ecma_number

# A place in the value: the name of the whole, or a place and the index or key leading on from it.
# It is linked rather than joined because it is wanted as text only when something is wrong there.
_Place: TypeAlias = "str | tuple[_Place, int | str]"

# RFC 8785 section 3.1 asks for I-JSON: integers that no double rounds (RFC 7493 section 2.2).
_MAX_INT = 2**53 - 1

# Fewer levels than orjson (254) and json.dumps (the recursion limit, less the stack in use) bear,
# so that what is refused depends neither on the way taken below nor on the stack of the caller.
_MAX_DEPTH = 200

# Sorted keys and 53-bit integers. The rest only doubles what `_is_plain` makes sure of.
_STRICT = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
)
_PLAIN_SCALARS = frozenset({str, int, bool, type(None)})

# Python refuses to write out integers of thousands of digits, and nobody would read them.
_MAX_SHOWN_BITS = 128

# What to pass instead of a value of these types; `{}` is the value. The first row that fits.
_INSTEAD: tuple[tuple[tuple[type, ...], str], ...] = (
    ((date, time), "{}.isoformat()"),
    ((timedelta,), "{}.total_seconds()"),
    ((bytes, bytearray), "{0}.decode() if it is text, else {0}.hex()"),
    ((memoryview,), "{}.hex()"),
    ((Decimal, UUID, PurePath), "str({})"),
    ((Enum,), "{}.value"),
    ((AbstractSet,), "sorted({})"),
    ((Mapping,), "dict({})"),
    ((Iterator, MappingView, deque, range), "list({})"),
    ((object,), "{} as a str, a number, a list or a dict"),
)


def canonical_json(value: object, *, path: str = "value") -> bytes:
    """The RFC 8785 bytes of a JSON value.

    A tuple is an array, and a subclass is what json.dumps sends for it: an `IntEnum` its number,
    a `StrEnum` its text. `1` and `1.0` are the same number.

    Args:
        value: what json.dumps would be given.
        path: the name of the value in errors.

    Raises:
        InvalidJob: Faktory cannot carry the value, or not unchanged. The message names the place
            and the way out, and shows nothing of the value but keys and a number out of range.
    """
    try:
        plain = orjson.dumps(value, option=_STRICT) if _is_plain(value, _MAX_DEPTH) else None
    except (orjson.JSONEncodeError, RecursionError):
        plain = None  # a surrogate, say, or a large integer: `_by_hand` knows where
    return _by_hand(value, path) if plain is None else plain


def _is_plain(value: object, depth: int) -> bool:
    """Whether the value has at most `depth` levels, and orjson either writes RFC 8785 or refuses.

    Exact types only, as orjson has ideas of its own about dates, UUIDs, Enums and more. No floats,
    which it does not lay out like ECMAScript. ASCII keys only: it sorts by code point, section
    3.2.3 by UTF-16 code unit.
    """
    if type(value) is list or type(value) is tuple:
        items: Iterable[object] = value
    elif type(value) is dict:
        for key in value:
            if type(key) is not str or not key.isascii():
                return False
        items = value.values()
    else:
        return type(value) in _PLAIN_SCALARS
    if depth == 0:
        return False
    for item in items:
        # Looked up here too, as a call for every scalar would double the time.
        if type(item) not in _PLAIN_SCALARS and not _is_plain(item, depth - 1):
            return False
    return True


def _by_hand(value: object, path: str) -> bytes:
    """The RFC 8785 bytes of any JSON value: the slow way, which knows the place of an error."""
    out: list[bytes] = []
    try:
        _write(value, path, out, set())
    except RecursionError:  # little stack was left, or a subclass never stops unfolding
        raise InvalidJob(f"{path}: nested too deeply; pass a flatter value") from None
    return b"".join(out)


def _write(value: object, place: _Place, out: list[bytes], inside: set[int]) -> None:
    """Append the bytes of the value to `out`; `inside` holds the ids of what it is nested in."""
    # The type, as json.dumps asks, and not isinstance, to which a lazy proxy can lie.
    kind = type(value)
    node: Any = value
    if issubclass(kind, (list, tuple)):
        _enter(value, place, inside)
        opening = b"["
        for index, item in enumerate(node):
            out.append(opening)
            _write(item, (place, index), out, inside)
            opening = b","
        out.append(b"]" if opening == b"," else b"[]")
        inside.remove(id(value))
    elif issubclass(kind, dict):
        _enter(value, place, inside)
        opening = b"{"
        for text, key, item in _members(node, place):
            out += (opening, text, b":")
            _write(item, (place, key), out, inside)
            opening = b","
        out.append(b"}" if opening == b"," else b"{}")
        inside.remove(id(value))
    else:
        out.append(_scalar(node, place))


def _enter(value: object, place: _Place, inside: set[int]) -> None:
    if id(value) in inside:
        what = f"{type(value).__name__} contains itself"
        raise _invalid(place, what, "pass an id in its place")
    if len(inside) == _MAX_DEPTH:
        raise _invalid(place, f"nested deeper than {_MAX_DEPTH} levels", "pass a flatter value")
    inside.add(id(value))


def _members(value: dict[object, object], place: _Place) -> list[tuple[bytes, str, object]]:
    """The members of an object, each with the text of its key, in the order of section 3.2.3."""
    members: dict[bytes, tuple[bytes, str, object]] = {}
    # json.dumps, too, asks a subclass for its items, but not where dict itself knows of none.
    for key, item in value.items() if dict.__len__(value) else ():
        if not issubclass(type(key), str):
            raise _invalid(place, f"object key is {type(key).__name__}, not str", "use str keys")
        name = str.__str__(key)
        text = _text(name)
        if text is None:
            what = "object key has a surrogate, which is not Unicode text"
            raise _invalid((place, name), what, "use keys without surrogates")
        # Big-endian bytes compare as the UTF-16 code units do.
        units = name.encode("utf-16-be")
        if units in members:
            raise _invalid((place, name), "object has this key twice", "use distinct str keys")
        members[units] = text, name, item
    return [members[units] for units in sorted(members)]


def _scalar(value: Any, place: _Place) -> bytes:  # noqa: ANN401 - issubclass narrows nothing
    """The bytes of what is no array and no object.

    What subclasses override has no say: the methods of the base read the value, as json.dumps does.
    """
    kind = type(value)
    if value is None or kind is bool:
        return orjson.dumps(value)
    if issubclass(kind, str):
        text = _text(str.__str__(value))
        if text is not None:
            return text
        instead = 'pass {}.encode(errors="backslashreplace").decode()'
        raise _invalid(place, "str has a surrogate, which is not Unicode text", instead)
    if issubclass(kind, int):
        integer = int.__int__(value)
        if abs(integer) <= _MAX_INT:
            return b"%d" % integer
        bits = integer.bit_length()
        shown = str(integer) if bits <= _MAX_SHOWN_BITS else f"an integer of {bits} bits"
        raise _invalid(place, f"{shown} is beyond ±(2**53-1) and would be rounded", "pass str({})")
    if issubclass(kind, float):
        number = float.__float__(value)
        if isfinite(number):
            return ecma_number(number).encode()
        raise _invalid(place, f"{number} is not JSON", "pass None or a finite number")
    raise _invalid(place, f"{kind.__name__} is not JSON", f"pass {_instead(kind)}")


def _text(text: str) -> bytes | None:
    """The string as RFC 8785 section 3.2.2.2 has it, or None if it holds a surrogate."""
    try:
        return orjson.dumps(text)
    except orjson.JSONEncodeError:
        return None


def _instead(kind: type) -> str:
    if hasattr(kind, "model_dump"):  # pydantic
        return '{}.model_dump(mode="json")'
    if is_dataclass(kind):
        return "dataclasses.asdict({})"
    return next(instead for types, instead in _INSTEAD if issubclass(kind, types))


def _invalid(place: _Place, what: str, instead: str) -> InvalidJob:
    """The error about a place; `{}` in `instead` becomes a short name for what stands there."""
    steps: list[int | str] = []
    while not isinstance(place, str):
        place, step = place
        steps.append(step)
    path = name = place
    for step in reversed(steps):
        if isinstance(step, str) and step.isidentifier():
            path, name = f"{path}.{step}", step
        else:
            index = f"[{json.dumps(step)}]"
            path, name = path + index, name + index
    return InvalidJob(f"{path}: {what}; {instead.format(name)}")
