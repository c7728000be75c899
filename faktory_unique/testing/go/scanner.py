"""JSON text to a tree, or Go's syntax error: what encoding/json/scanner.go does.

The tree keeps what Go's decoder goes by and `json.loads` loses: numbers are their literals, an
object is a tuple of pairs with all its duplicates. An array is a list, and the rest is as usual.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeAlias

from .errors import GoError
from .quote import quote

# scanner.go maxNestingDepth.
_MAX_DEPTH = 10_000

_END = "unexpected end of JSON input"
_END_OF_OBJECT = ord("}")
_CLOSING = {ord("["): ord("]"), ord("{"): _END_OF_OBJECT}
_WORDS = {ord("t"): (b"true", True), ord("f"): (b"false", False), ord("n"): (b"null", None)}

_SPACE = re.compile(rb"[ \t\r\n]*")
# The inside of a string, as far as it is well-formed.
_INSIDE = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+')
_HEX = re.compile(rb"[0-9a-fA-F]{0,4}")
# A number, as far as it is well-formed: what is missing shows in the groups.
_NUMBER = re.compile(rb"-?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]*)?")

_NO_UTF8 = re.compile("[\udc80-\udcff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Any escape: a pair of surrogates, one that is alone (the group), or another.
_ESCAPE = re.compile(
    r"""\\(?:
        u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}
        | (u[dD][89a-fA-F][0-9a-fA-F]{2})
        | .
    )""",
    re.DOTALL | re.VERBOSE,
)


Tree: TypeAlias = Any
"""What `parse` returns, or a part of it."""


class Number(str):
    """The literal of a number."""

    __slots__ = ()


def parse(data: bytes) -> Tree:
    """The tree of one JSON value.

    Raises:
        GoError: a syntax error.
    """
    # The json module is fast and what it accepts, Go accepts, but for nesting: some versions of
    # Python stop before Go does, others after it. Its errors are not Go's.
    if data.count(b"[") + data.count(b"{") <= _MAX_DEPTH:
        try:
            return _DECODER.decode(_go_text(data))
        except (ValueError, RecursionError):
            pass
    return _Scanner(data).scan()


def _go_text(data: bytes) -> str:
    """The text with U+FFFD for all that is no Unicode, as decode.go unquoteBytes puts it.

    That is one for every byte that is no UTF-8 and every escaped surrogate that is alone.
    """
    text = data.decode("utf-8", "surrogateescape")
    if not data.isascii():
        text = _NO_UTF8.sub("\ufffd", text)
    if _ESCAPED_SURROGATE.search(text):
        text = _ESCAPE.sub(lambda escape: "\\ufffd" if escape[1] else escape[0], text)
    return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple,
    parse_int=Number,
    parse_float=Number,
    parse_constant=_refuse,  # NaN and Infinity
)


class _Scanner:
    """Reads byte by byte what the json module does not: errors and deep nesting."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def scan(self) -> Tree:
        # What is open, on a stack of our own, which is as deep as Go's: the closing bracket, the
        # items so far and, of an object, the key that the next value is for.
        opened: list[tuple[int, list[Any]]] = []
        keys: list[str] = []
        while True:
            byte = self._peek()
            closing = _CLOSING.get(byte)
            if closing is None:
                value: Any = self._scalar(byte)
            elif self._has_items(closing, len(opened)):
                opened.append((closing, []))
                if closing == _END_OF_OBJECT:
                    keys.append(self._key())
                continue
            else:
                value = () if closing == _END_OF_OBJECT else []
            while opened:
                closing, items = opened[-1]
                items.append((keys.pop(), value) if closing == _END_OF_OBJECT else value)
                if self._has_another(closing):
                    if closing == _END_OF_OBJECT:
                        keys.append(self._key())
                    break
                opened.pop()
                value = tuple(items) if closing == _END_OF_OBJECT else items
            else:
                self._skip_space()
                if self._at < len(self._data):
                    self._fail("after top-level value")
                return value

    def _has_items(self, closing: int, depth: int) -> bool:
        """Whether the array or object that opens here has items; if not, it is left behind."""
        if depth == _MAX_DEPTH:
            self._fail("exceeded max depth")
        self._at += 1
        if self._peek() != closing:
            return True
        self._at += 1
        return False

    def _has_another(self, closing: int) -> bool:
        """Whether another item follows; if not, the array or object is left behind."""
        byte = self._peek()
        if byte not in (ord(","), closing):
            is_object = closing == _END_OF_OBJECT
            self._fail("after object key:value pair" if is_object else "after array element")
        self._at += 1
        return byte != closing

    def _key(self) -> str:
        if self._peek() != ord('"'):
            self._fail("looking for beginning of object key string")
        key = self._string()
        if self._peek() != ord(":"):
            self._fail("after object key")
        self._at += 1
        return key

    def _scalar(self, byte: int) -> str | bool | None:
        if byte == ord('"'):
            return self._string()
        if byte in b"-0123456789":
            return self._number()
        if byte not in _WORDS:
            self._fail("looking for beginning of value")
        word, value = _WORDS[byte]
        for expected in word:
            if self._data[self._at : self._at + 1] != bytes((expected,)):
                self._fail(f"in literal {word.decode()} (expecting '{chr(expected)}')")
            self._at += 1
        return value

    def _string(self) -> str:
        start = self._at
        self._move_past(_INSIDE, start + 1)
        byte = self._data[self._at : self._at + 1]
        if not byte:
            raise GoError(_END)
        if byte == b"\\":
            self._at += 1
            if self._data[self._at : self._at + 1] != b"u":
                self._fail("in string escape code")
            self._move_past(_HEX, self._at + 1)
            self._fail("in \\u hexadecimal character escape")
        if byte != b'"':
            self._fail("in string literal")
        self._at += 1
        text: str = json.loads(_go_text(self._data[start : self._at]))
        return text

    def _number(self) -> Number:
        match = self._move_past(_NUMBER, self._at)
        whole, fraction, exponent = match.groups()
        if whole is None:
            self._fail("in numeric literal", match.start() + 1)
        if fraction == b".":
            self._fail("after decimal point in numeric literal", match.end(2))
        if exponent and not exponent[-1:].isdigit():
            self._fail("in exponent of numeric literal")
        return Number(match[0].decode())

    def _peek(self) -> int:
        """The next byte that is no space."""
        self._skip_space()
        if self._at == len(self._data):
            raise GoError(_END)
        return self._data[self._at]

    def _skip_space(self) -> None:
        self._move_past(_SPACE, self._at)

    def _move_past(self, pattern: re.Pattern[bytes], start: int) -> re.Match[bytes]:
        match = pattern.match(self._data, start)
        assert match is not None  # noqa: S101 - every pattern matches nothing at all
        self._at = match.end()
        return match

    def _fail(self, context: str, at: int | None = None) -> NoReturn:
        # Go makes sure of the end with a space (scanner.go eof), which is what does not fit then.
        where = self._at if at is None else at
        byte = chr((self._data[where : where + 1] or b" ")[0])
        # quoteChar takes the byte for a code point.
        shown = {"'": "\\'", '"': '"'}.get(byte) or quote(byte)[1:-1]
        raise GoError(f"invalid character '{shown}' {context}")
