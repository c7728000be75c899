"""How a command of the fake can fail."""

from __future__ import annotations


class CommandError(Exception):
    """The server answers this command with an error; the text is what follows `-ERR `."""


class GoPanic(Exception):  # Go's word
    """The server's code stumbles over this command, which it answers with an internal error."""
