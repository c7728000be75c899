r"""The patterns of MUTATE's filters, matched as Redis does: `*`, `?`, `[a-c]`, `[^a-c]`, `\`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Neither a class without its `]` nor a `\` at the end is an error (util.c stringmatchlen of Redis).
_PIECE = re.compile(rb"\[(?P<not>\^?)(?P<class>(?:\\.|[^]]-.|[^]])*)\]?|\\?(?P<byte>.)", re.DOTALL)
_MEMBER = re.compile(rb"\\(.)|(.)-(.)|(.)", re.DOTALL)


def matching(texts: Iterable[str], pattern: str) -> list[str]:
    """Return the texts that match a pattern from start to end, byte by byte."""
    parts = [b""]  # one expression before, between and after the stars
    for piece in _PIECE.finditer(pattern.encode()):
        if piece[0] == b"*":
            parts.append(b"")
        else:
            parts[-1] += _expression(piece)
    first, *rest = parts
    # The first place that fits a part is as good as any later one: (?>) never goes back.
    middle = b"".join(b"(?>.*?%b)" % part for part in rest[:-1])
    last = b".*" + rest[-1] if rest else b""
    matches = re.compile(first + middle + last, re.DOTALL).fullmatch
    return [text for text in texts if matches(text.encode())]


def _expression(piece: re.Match[bytes]) -> bytes:
    if piece[0] == b"?":
        return b"."
    if piece["byte"]:
        return re.escape(piece["byte"])
    members = b"".join(map(_members, _MEMBER.finditer(piece["class"])))
    if not members:
        return b"." if piece["not"] else b"(?!)"
    return b"[%b%b]" % (piece["not"], members)


def _members(member: re.Match[bytes]) -> bytes:
    """Return a byte or a range as a range for a class of `re`. Either end may come first."""
    low, high = sorted((member[2], member[3])) if member[2] else 2 * [member[1] or member[4]]
    return b"\\x%02x-\\x%02x" % (ord(low), ord(high))
