"""The text of replies: +OK, errors, bulks; and the arguments of a command line."""

from __future__ import annotations

from .errors import InternalError

OK = b"+OK\r\n"
NIL = b"$-1\r\n"


def error(text: str) -> bytes:
    """Return an error reply."""
    return f"-ERR {text}\r\n".encode(errors="surrogateescape")


def bulk(text: str) -> bytes:
    """Return a bulk reply."""
    data = text.encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


def argument(line: bytes, verb: str) -> bytes:
    """Return the text after a verb and its space, as the server slices the line.

    Raises:
        InternalError: the line is too short for that.
    """
    start = len(verb) + 1
    if len(line) < start:
        raise InternalError
    return line[start:]


def words(line: bytes) -> list[str]:
    """Return the words after the verb of a line."""
    return line.decode(errors="surrogateescape").split(" ")[1:]
