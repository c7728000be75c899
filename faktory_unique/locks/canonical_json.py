"""Canonical JSON (RFC 8785, JCS) of args, and the errors about values that JSON cannot carry.

The value is the one that json.dumps would send. If the worker would receive a different value, such
as a rounded integer, `InvalidJob` says where the value is and what to pass instead.
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

# A place in the value: the name of the whole value, or a place and the next index or key. It is
# linked, not joined, because its text is only needed for an error.
_Place: TypeAlias = "str | tuple[_Place, int | str]"

# RFC 8785 section 3.1 requires I-JSON: integers that a double holds exactly (RFC 7493 section 2.2).
_MAX_INT = 2**53 - 1

# orjson allows 254 levels, json.dumps the recursion limit minus the stack in use. This limit is
# lower than both, so it depends neither on the encoder used below nor on the caller's stack.
_MAX_DEPTH = 200

# Sorted keys and 53-bit integers. The other options repeat what `_is_plain` checks.
_ORJSON_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
)
_PLAIN_SCALARS = frozenset({str, int, bool, type(None)})

# Longer integers are not shown in messages: Python refuses to print thousands of digits.
_MAX_SHOWN_BITS = 128

# The advice for a value of these types; `{}` is the value. The first matching row counts.
_ADVICE: tuple[tuple[tuple[type, ...], str], ...] = (
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
    """Return the RFC 8785 bytes of a JSON value.

    A tuple is an array. An instance of a subclass is the value that json.dumps sends for it: an
    `IntEnum` is its number, a `StrEnum` its text. `1` and `1.0` are the same number.

    Args:
        value: the value that json.dumps would get.
        path: the name of the value in errors.

    Raises:
        InvalidJob: Faktory cannot carry the value unchanged. The message names the place and says
            what to pass instead. Of the value, it shows only keys and a number out of range.
    """
    try:
        plain = (
            orjson.dumps(value, option=_ORJSON_OPTIONS) if _is_plain(value, _MAX_DEPTH) else None
        )
    except (orjson.JSONEncodeError, RecursionError):
        plain = None  # such as a surrogate or a large integer; the slow encoder finds its place
    return _json_with_places(value, path) if plain is None else plain


def _is_plain(value: object, depth: int) -> bool:
    """Return whether orjson either writes RFC 8785 for the value, or refuses it.

    It does so only for values of these exact types: it encodes dates, UUIDs, Enums and more in its
    own way. Floats are not plain, since orjson does not write them as ECMAScript does. Keys must be
    ASCII: orjson sorts them by code point, section 3.2.3 by UTF-16 code unit. Values that are
    nested deeper than `depth` levels are not plain.
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
        # Checked here too: a call for every scalar would double the time.
        if type(item) not in _PLAIN_SCALARS and not _is_plain(item, depth - 1):
            return False
    return True


def _json_with_places(value: object, path: str) -> bytes:
    """Return the RFC 8785 bytes of any JSON value. It is slower, but an error names its place.

    Raises:
        InvalidJob: as `canonical_json`.
    """
    out: list[bytes] = []
    try:
        _append(value, path, out, set())
    except RecursionError:  # little stack was left, or a subclass unfolds without end
        raise InvalidJob(f"{path}: nested too deeply; pass a flatter value") from None
    return b"".join(out)


def _append(value: object, place: _Place, out: list[bytes], ancestors: set[int]) -> None:
    """Append the bytes of the value to `out`.

    `ancestors` has the ids of the lists and dicts that the value is nested in.
    """
    # By type, as json.dumps does, and not by isinstance: a lazy proxy can lie to isinstance.
    kind = type(value)
    node: Any = value
    if issubclass(kind, (list, tuple)):
        _enter(value, place, ancestors)
        opening = b"["
        for index, item in enumerate(node):
            out.append(opening)
            _append(item, (place, index), out, ancestors)
            opening = b","
        out.append(b"]" if opening == b"," else b"[]")
        ancestors.remove(id(value))
    elif issubclass(kind, dict):
        _enter(value, place, ancestors)
        opening = b"{"
        for text, key, item in _sorted_members(node, place):
            out += (opening, text, b":")
            _append(item, (place, key), out, ancestors)
            opening = b","
        out.append(b"}" if opening == b"," else b"{}")
        ancestors.remove(id(value))
    else:
        out.append(_scalar_json(node, place))


def _enter(value: object, place: _Place, ancestors: set[int]) -> None:
    """Add a list or dict to `ancestors`. Raise InvalidJob if it contains itself or is too deep."""
    if id(value) in ancestors:
        problem = f"{type(value).__name__} contains itself"
        raise _invalid(place, problem, "pass an id instead")
    if len(ancestors) == _MAX_DEPTH:
        raise _invalid(place, f"nested deeper than {_MAX_DEPTH} levels", "pass a flatter value")
    ancestors.add(id(value))


def _sorted_members(value: dict[object, object], place: _Place) -> list[tuple[bytes, str, object]]:
    """Return (JSON of the key, key, value) of each member, in the order of section 3.2.3."""
    members: dict[bytes, tuple[bytes, str, object]] = {}
    # As json.dumps does: call items() of a subclass, but only if dict itself is not empty.
    for key, item in value.items() if dict.__len__(value) else ():
        if not issubclass(type(key), str):
            raise _invalid(place, f"object key is {type(key).__name__}, not str", "use str keys")
        name = str.__str__(key)
        text = _string_json(name)
        if text is None:
            problem = "object key has a surrogate, which is not Unicode text"
            raise _invalid((place, name), problem, "use keys without surrogates")
        # Big-endian bytes sort like the UTF-16 code units.
        units = name.encode("utf-16-be")
        if units in members:
            raise _invalid((place, name), "object has this key twice", "use distinct str keys")
        members[units] = text, name, item
    return [members[units] for units in sorted(members)]


def _scalar_json(value: Any, place: _Place) -> bytes:  # noqa: ANN401 - issubclass narrows nothing
    """Return the bytes of a value that is neither an array nor an object.

    It reads the value by the methods of the base class, as json.dumps does, and ignores overrides.
    """
    kind = type(value)
    if value is None or kind is bool:
        return orjson.dumps(value)
    if issubclass(kind, str):
        text = _string_json(str.__str__(value))
        if text is not None:
            return text
        advice = 'pass {}.encode(errors="backslashreplace").decode()'
        raise _invalid(place, "str has a surrogate, which is not Unicode text", advice)
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
    raise _invalid(place, f"{kind.__name__} is not JSON", f"pass {_advice(kind)}")


def _string_json(text: str) -> bytes | None:
    """Return the string as in RFC 8785 section 3.2.2.2; None if it has a surrogate."""
    try:
        return orjson.dumps(text)
    except orjson.JSONEncodeError:
        return None


def _advice(kind: type) -> str:
    """Return the Python code that makes a JSON value of a value of this type, called `{}`."""
    if hasattr(kind, "model_dump"):  # pydantic
        return '{}.model_dump(mode="json")'
    if is_dataclass(kind):
        return "dataclasses.asdict({})"
    if hasattr(kind, "item") and hasattr(kind, "tolist"):  # numpy: an array or a scalar
        return "{}.tolist()" if hasattr(kind, "__len__") else "{}.item()"
    return next(advice for types, advice in _ADVICE if issubclass(kind, types))


def _invalid(place: _Place, problem: str, advice: str) -> InvalidJob:
    """Return the error about a place; `{}` in `advice` becomes a short name of the value there."""
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
    return InvalidJob(f"{path}: {problem}; {advice.format(name)}")
