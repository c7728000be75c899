"""Patterns as Redis matches them: stringmatchlen of its util.c, case-sensitive."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_STAR, _ANY, _OPEN, _CLOSE, _NOT, _TO, _ESCAPE = b"*?[]^-\\"
_BYTES = frozenset(range(256))


def glob(pattern: bytes) -> Callable[[bytes], bool]:
    r"""Whether a value, all of it, matches a pattern.

    `*` is any bytes, `?` any one, `[a-c^]` one of these, `[^a-c]` one of the others, and `\` takes
    the special meaning from the next byte. Neither a class without an end nor a `\` at the end is
    an error: the class ends with the pattern, the `\` is itself.
    """
    if pattern == b"*":  # not even asked about (db.c keysCommand, scanGenericCommand)
        return lambda _: True
    parts = _parts(pattern)
    if len(parts) > 1 and not any(parts):
        return bool
    matches = re.compile(_regex(parts), re.DOTALL).fullmatch
    return lambda value: matches(value) is not None


def _regex(parts: list[bytes]) -> bytes:
    """The expression for what stands between the stars.

    The first place that fits a part is as good as any later one, so there is no going back, and no
    time lost on it: (?>).
    """
    first, *rest = parts
    if not rest:
        return first
    *middle, last = rest
    return first + b"".join(b"(?>.*?%b)" % part for part in middle) + b".*" + last


def _parts(pattern: bytes) -> list[bytes]:
    """The expressions for what stands before, between and after the stars."""
    parts = [b""]
    at = 0
    while at < len(pattern):
        byte = pattern[at]
        at += 1
        if byte == _STAR:
            parts.append(b"")
        elif byte == _ANY:
            parts[-1] += b"."
        elif byte == _OPEN:
            allowed, at = _class(pattern, at)
            parts[-1] += b"[%b]" % b"".join(map(_literal, sorted(allowed))) if allowed else b"(?!)"
        else:
            if byte == _ESCAPE and at < len(pattern):
                byte = pattern[at]
                at += 1
            parts[-1] += _literal(byte)
    return parts


def _class(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """The bytes that a class stands for, and where it ends. `at` is behind its bracket."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    found: set[int] = set()
    while at < len(pattern) and pattern[at] != _CLOSE:
        if pattern[at] == _ESCAPE and at + 1 < len(pattern):
            found.add(pattern[at + 1])
            at += 2
        elif at + 2 < len(pattern) and pattern[at + 1] == _TO:
            found.update(_range(pattern[at], pattern[at + 2]))
            at += 3
        else:
            found.add(pattern[at])
            at += 1
    return (_BYTES - found if negated else frozenset(found)), at + 1


def _range(start: int, end: int) -> set[int]:
    """The bytes from one to the other, either way round, as signed as x86 has its chars."""
    low, high = sorted((_signed(start), _signed(end)))
    return {number % 256 for number in range(low, high + 1)}


def _signed(byte: int) -> int:
    return (byte ^ 0x80) - 0x80


def _literal(byte: int) -> bytes:
    return b"\\x%02x" % byte
