"""Which of Faktory's error texts prove that a job was not enqueued.

The server gives a command 5 s for its storage (server/server.go:399 of Faktory 1.10), so an error
may also mean that the job was stored and only the answer to that was lost. What is not known to be
a refusal is therefore an unknown outcome: its lock stays until the lease is over.
"""

from __future__ import annotations

import re

# Decided before anything is stored. manager/manager.go:193-247; server/commands.go:166-176;
# server/server.go:355-400.
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

# Said to whatever comes, and nothing of it is carried out (server/server.go:355-400).
_FOR_NOW = ("shutdown in progress", "too many connections")

# A code in capitals is the verdict of whoever carried the command out: the server's own
# (NOTUNIQUE), or its Redis' (OOM, READONLY, MISCONF).
_CODED = re.compile(r"[A-Z]{2,} ")


def is_refusal(error: str) -> bool:
    """Whether this error text proves that the job was not enqueued."""
    return error.startswith((*_BEFORE_STORING, *_FOR_NOW)) or _CODED.match(error) is not None


def is_for_now(error: str) -> bool:
    """Whether this error text means that the server takes no command at present."""
    return error.startswith(_FOR_NOW)


def is_not_unique(error: str) -> bool:
    """Whether this error text says that the server itself has an equal job (Enterprise)."""
    return error.startswith("NOTUNIQUE")
