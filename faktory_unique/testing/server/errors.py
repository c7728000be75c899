"""The errors with which a command of the fake can fail: an error reply, or an internal error."""

from __future__ import annotations


class CommandError(Exception):
    """The server replies to this command with an error: `-ERR ` and the text of this exception."""


class ParseError(CommandError):
    """A text is not the JSON that a command takes, or not a time."""


class InternalError(Exception):
    """The server's code panics on this command, and it replies with an internal error."""
