"""The errors with which a command of the fake can fail: an error reply, or an internal error."""

from __future__ import annotations


class CommandError(Exception):
    """The server answers this command with an error; the text is what follows `-ERR `."""


class ParseError(CommandError):
    """A text is not the JSON that a command takes, or not a time."""


class InternalError(Exception):
    """The server's code panics on this command, and answers with an internal error."""
