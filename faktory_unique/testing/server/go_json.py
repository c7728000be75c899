"""The server's JSON: text to values and back, as Go's encoding/json does it.

Clients see the same as on the server: numbers of `args` and `custom` become float64, unknown fields
are removed, fields have an order, `<`, `>` and `&` are escaped. Only the texts of errors differ.
The shapes of jobs and commands are in schemas.py.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from math import isinf
from typing import Any, NoReturn, TypeAlias

from faktory_unique.locks.ecma_number import ecma_number

from .errors import ParseError

# Go reads 10,000 levels of arrays and objects. Here each level takes a part of Python's stack.
_MAX_DEPTH = 100

Value: TypeAlias = Any
"""A decoded value: a struct is a dict with all of its fields, Go's nil is None."""

Shape: TypeAlias = "Scalar | Integer | Nullable | ListOf | MapOf | Struct"


class Scalar(Enum):
    """A string; or any JSON value, in which all numbers are float64."""

    STRING = "string"
    ANY = "any"


@dataclass(frozen=True)
class Integer:
    """A whole number within bounds. 5.0 and 1e2 do not count as whole."""

    low: int = -(2**63)
    high: int = 2**63 - 1


@dataclass(frozen=True)
class Nullable:
    """A value or None: a pointer in Go."""

    of: Shape


@dataclass(frozen=True)
class ListOf:
    """A list or None."""

    of: Shape


@dataclass(frozen=True)
class MapOf:
    """An object with any keys, or None."""

    of: Shape


@dataclass(frozen=True)
class Struct:
    """An object with known fields.

    Attributes:
        fields: shapes by name in lower case, in the order in which they are written.
        omit_empty: names of the fields that are not written when they are 0, "", [], {} or None.
    """

    fields: dict[str, Shape]
    omit_empty: frozenset[str] = frozenset()


class _Number(str):
    """The literal of a number."""

    __slots__ = ()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


# An object becomes a tuple of its members, since a name may occur twice. Numbers stay literals.
_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=_Number, parse_float=_Number, parse_constant=_refuse
)
_KINDS = {bool: "bool", str: "string", _Number: "number", list: "array", tuple: "object"}
_WHOLE = re.compile("-?[0-9]{1,19}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(data: bytes, shape: Shape, into: Value = None) -> Value:
    """Return the value of this shape that a JSON text stands for.

    Args:
        data: the text. Each byte that is not UTF-8 becomes U+FFFD.
        shape: the shape that the text must have.
        into: a struct to change in place. It is changed even if some fields have a wrong type.

    Raises:
        ParseError: the text is not JSON, or something in it has a wrong type.
    """
    try:
        node = _DECODER.decode(data.decode(errors="surrogateescape"))
    except (ValueError, RecursionError) as exc:
        raise ParseError(f"invalid character or end: {exc}") from exc
    errors: list[str] = []
    value = _read(node, shape, zero(shape) if into is None else into, "the value", errors)
    if errors:
        raise ParseError(f"json: cannot unmarshal {errors[0]}")
    return value


def zero(shape: Shape) -> Value:
    """Return the zero value of this shape, as Go has it."""
    match shape:
        case Scalar.STRING:
            return ""
        case Integer():
            return 0
        case Struct(fields=fields):
            return {name: zero(of) for name, of in fields.items()}
    return None


def _read(  # noqa: C901, PLR0911  # a case for each shape
    node: Value, shape: Shape, old: Value, name: str, errors: list[str]
) -> Value:
    """Return the value that a variable has after a node is decoded into it.

    As in Go, null leaves a string or number as it was. A name that occurs twice is decoded into the
    result of the first one.

    Args:
        node: the decoded JSON.
        shape: the shape of the variable.
        old: the value of the variable. A struct is changed in place.
        name: the name of the variable in errors.
        errors: receives the errors.
    """
    kind = type(node)
    match shape:
        case _ if node is None:
            return None if isinstance(shape, Nullable | ListOf | MapOf) else old
        case Scalar.STRING if kind is str:
            return _SURROGATE.sub("\ufffd", node)
        case Scalar.ANY:
            return _read_any(node, name, errors)
        case Integer(low=low, high=high) if kind is _Number and _WHOLE.fullmatch(node):
            if low <= int(node) <= high:
                return int(node)
        case Nullable(of=of):
            return _read(node, of, zero(of) if old is None else old, name, errors)
        case ListOf(of=of) if kind is list:
            return [_read(item, of, zero(of), name, errors) for item in node]
        case MapOf(of=of) if kind is tuple:
            return (old or {}) | {
                _SURROGATE.sub("\ufffd", key): _read(item, of, zero(of), name, errors)
                for key, item in node
            }
        case Struct(fields=fields) if kind is tuple:
            for key, item in node:
                field = key.casefold()
                if field in fields:
                    old[field] = _read(item, fields[field], old[field], field, errors)
            return old
    errors.append(f"{_KINDS[kind]} into {name}")
    return old


def _read_any(node: Value, name: str, errors: list[str], depth: int = 1) -> Value:
    if depth > _MAX_DEPTH:
        errors.append(f"more than {_MAX_DEPTH} levels into {name}")
        return None
    kind = type(node)
    if kind is _Number:
        number = float(node)
        if isinf(number):
            errors.append(f"number {node} into {name}")
        return number
    if kind is str:
        return _SURROGATE.sub("\ufffd", node)
    if kind is list:
        return [_read_any(item, name, errors, depth + 1) for item in node]
    if kind is tuple:
        return {
            _SURROGATE.sub("\ufffd", key): _read_any(item, name, errors, depth + 1)
            for key, item in node
        }
    return node


quote = json.JSONEncoder(ensure_ascii=False).encode
"""Return a text in quotes: near enough to Go's `%q`, which escapes some more characters."""

# What Go escapes and Python does not (encode.go appendString).
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def encode(value: Value, shape: Shape = Scalar.ANY) -> str:
    """Return the JSON text that the server writes for a value of this shape."""
    return _UNSAFE.sub(_escape, _write(value, shape))


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return f"\\u{0xFFFD if _SURROGATE.match(char) else ord(char):04x}"


def _write(value: Value, shape: Shape) -> str:
    if isinstance(shape, Nullable):
        shape = shape.of
    match value:
        case float():
            return "-0" if str(value) == "-0.0" else ecma_number(value)
        case list():
            of = shape.of if isinstance(shape, ListOf) else Scalar.ANY
            return f"[{','.join([_write(item, of) for item in value])}]"
        case dict():
            if not isinstance(shape, Struct):  # a map, with its keys sorted
                shape = Struct(dict.fromkeys(sorted(value), Scalar.ANY))
            members = [
                f"{quote(name)}:{_write(value[name], of)}"
                for name, of in shape.fields.items()
                if value[name] or name not in shape.omit_empty
            ]
            return f"{{{','.join(members)}}}"
    return quote(value)
