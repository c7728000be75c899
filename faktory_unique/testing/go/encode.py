"""json.Marshal: Go's JSON text of a value, byte for byte."""

from __future__ import annotations

import json
import re
from math import copysign, isfinite, isnan
from typing import Any

from faktory_unique.locks.ecma_number import ecma_number

from .errors import GoError
from .shapes import Anything, Float, Integer, Map, Pointer, Shape, Slice, String, Struct, Value

_text = json.JSONEncoder(ensure_ascii=False).encode

# What Go escapes and Python does not, all of it only ever found inside of strings: what HTML or
# JavaScript may take for something else (encode.go appendString), and what is no Unicode.
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def encode(value: Value, shape: Shape) -> str:
    """What json.Marshal makes of a value such as `decode` returns.

    A byte that is no UTF-8 is written as U+FFFD; the str has it from the error handler
    `surrogateescape`.

    Raises:
        GoError: a number is not finite.
    """
    out: list[str] = []
    _write(value, shape, out)
    return _UNSAFE.sub(_escape, "".join(out))


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return "\\ufffd" if "\ud800" <= char <= "\udfff" else f"\\u{ord(char):04x}"


def _write(value: Value, shape: Shape, out: list[str]) -> None:
    match shape:
        case Pointer(of=of) if value is not None:
            _write(value, of, out)
        case String():
            out.append(_text(value))
        case Integer():
            out.append(str(value))
        case Float():
            out.append(_float(value))
        case Anything():
            _write_any(value, out)
        case _ if value is None:
            out.append("null")
        case Struct():
            _write_struct(value, shape, out)
        case Map(of=of):
            _write_map(value, of, out)
        case Slice(of=of):
            _write_slice(value, of, out)


def _write_struct(value: dict[str, Any], shape: Struct, out: list[str]) -> None:
    opening = "{"
    for field in shape.fields:
        item = value[field.name]
        # Empty are nil, 0, "" and what holds nothing; of what a pointer points to, nothing is.
        if field.omit_empty and (
            item is None or (not item and not isinstance(field.shape, Pointer | Struct))
        ):
            continue
        out.append(f'{opening}"{field.name}":')
        _write(item, field.shape, out)
        opening = ","
    out.append("}" if opening == "," else "{}")


def _write_map(value: dict[str, Any], of: Shape, out: list[str]) -> None:
    opening = "{"
    for key in sorted(value):
        out.append(f"{opening}{_text(key)}:")
        _write(value[key], of, out)
        opening = ","
    out.append("}" if opening == "," else "{}")


def _write_slice(value: list[Any], of: Shape, out: list[str]) -> None:
    opening = "["
    for item in value:
        out.append(opening)
        _write(item, of, out)
        opening = ","
    out.append("]" if opening == "," else "[]")


class _Punctuation(str):
    """JSON text among values."""

    __slots__ = ()


def _write_any(value: Value, out: list[str]) -> None:
    """Write whatever JSON there is, on a stack of our own: Go writes what is nested deeply."""
    todo = [value]
    while todo:
        node = todo.pop()
        kind = type(node)
        if kind is _Punctuation:
            out.append(node)
        elif kind is float:
            out.append(_float(node))
        elif kind is dict and node:
            parts: list[Any] = []
            for key in sorted(node):
                parts += (_Punctuation(f"{',' if parts else '{'}{_text(key)}:"), node[key])
            parts.append(_Punctuation("}"))
            todo += reversed(parts)
        elif kind is list and node:
            parts = []
            for item in node:
                parts += (_Punctuation("," if parts else "["), item)
            parts.append(_Punctuation("]"))
            todo += reversed(parts)
        else:
            out.append(_text(node))


def _float(number: float) -> str:
    """Go's text of a float64: the one of ECMAScript, but with the minus of zero."""
    if not isfinite(number):
        shown = "NaN" if isnan(number) else "+Inf" if number > 0 else "-Inf"
        raise GoError(f"json: unsupported value: {shown}")
    if number == 0:
        return "-0" if copysign(1, number) < 0 else "0"
    return ecma_number(number)
