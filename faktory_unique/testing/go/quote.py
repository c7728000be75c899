"""Text in quotes as Go's errors show it, in the two ways that Go has.

A Go string is bytes. In a str, the bytes that are no UTF-8 are those of the error handler
`surrogateescape`.
"""

from __future__ import annotations

import re

# strconv/quote.go appendEscapedRune: the escapes that have a letter.
_LETTERS = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
_BMP_END = 0x10000

# time/format.go quote escapes the bytes of whatever is not ASCII, and leaves DEL as it is.
_IN_TIMES = re.compile(rb'[^ -\x7f]|["\\]')


def quote(text: str) -> str:
    """strconv.Quote, which is fmt's `%q`.

    Which characters can be printed is for Unicode to say: version 15.0 in Go 1.26, and in Python
    that of `unicodedata`. Characters that only one of them knows are escaped by the other.
    """
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def quote_in_time(data: bytes) -> str:
    """The quotes of time.ParseError, which spell out the bytes of what is not printable ASCII."""
    return '"' + _IN_TIMES.sub(_escaped_byte, data).decode("ascii") + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if char in _LETTERS:
        return _LETTERS[char]
    if char.isprintable():
        return char
    if char.isascii():
        return f"\\x{code:02x}"
    if "\udc80" <= char <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < _BMP_END else f"\\U{code:08x}"


def _escaped_byte(match: re.Match[bytes]) -> bytes:
    byte = match[0]
    return b"\\" + byte if byte in b'"\\' else b"\\x%02x" % byte[0]
