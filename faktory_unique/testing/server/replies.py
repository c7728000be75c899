"""The text of commands and replies: what a line is made of, and how it is answered."""

from __future__ import annotations

from .errors import GoPanic

OK = b"+OK\r\n"
NIL = b"$-1\r\n"


def error(text: str) -> bytes:
    """An error reply."""
    return f"-ERR {text}\r\n".encode(errors="surrogateescape")


def bulk(text: str) -> bytes:
    """A bulk reply."""
    data = text.encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


def after(line: bytes, start: int) -> bytes:
    """What stands behind a verb and its space; the server slices without a look at the length."""
    if len(line) < start:
        raise GoPanic
    return line[start:]


def words(line: bytes) -> list[str]:
    """The words behind a verb."""
    return line.decode(errors="surrogateescape").split(" ")[1:]
