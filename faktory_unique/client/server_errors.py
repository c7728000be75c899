"""Faktory's error texts: which mean refused, temporary, not unique or wrong password.

The server gives a command 5 s for its storage (server/server.go:399 of Faktory 1.10). So an error
may also mean that the job was stored and only the storage's reply was lost. An error that is not
known to be a refusal is therefore an unknown outcome: the job's lock stays until its lease ends.
"""

from __future__ import annotations

import re

# The server finds these errors before it stores anything (manager/manager.go:193-247;
# server/commands.go:166-176; server/server.go:355-400).
_BEFORE_STORING = (
    "jobs must have a ",
    "jobs must have an ",
    "jobs cannot be reserved for ",
    "invalid timestamp for 'at'",
    "cannot get ",
    "cannot marshal job payload",
    "invalid JSON",
    "unknown command",
)

# Replies to any command. The command is not executed, and counts as not sent
# (server/server.go:355-400).
_TEMPORARY = ("shutdown in progress", "too many connections")

# A code in capitals comes from the component that executes the command: the server itself
# (NOTUNIQUE), or its Redis (OOM, READONLY, MISCONF).
_ERROR_CODE = re.compile(r"[A-Z]{2,} ")


def is_refusal(error: str) -> bool:
    """Return whether this error proves that the job was not enqueued."""
    return error.startswith(_BEFORE_STORING) or _ERROR_CODE.match(error) is not None


def is_temporary(error: str) -> bool:
    """Return whether this error means that the server accepts no commands for now."""
    return error.startswith(_TEMPORARY)


def is_wrong_password(error: str) -> bool:
    """Return whether this reply to HELLO means a wrong password (server/server.go:321)."""
    return error.startswith("Invalid password")


def is_not_unique(error: str) -> bool:
    """Return whether the server has an equal job and refused this one (Faktory Enterprise)."""
    return error.startswith("NOTUNIQUE")
