"""`PushHistory`: the pushes of this process that are in progress, done, or of unknown outcome."""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class PushHistory:
    """The pushes of this process. They are recorded since one jid sent twice destroys reservations.

    After an unknown outcome the job may be on the server. If it is pushed again, it is the same
    work: it keeps its owner and gets a new jid, even if its lease has lapsed (docs/design.md 5.20,
    5.21). If a job that was pushed has no lock any more and is pushed again, it is other work and
    gets a new owner (5.23).

    Args:
        limit: how many jids of each kind, unknown and pushed, are remembered. The oldest is
            forgotten first. Pushes in progress are always remembered.
    """

    # Without a mutex, which a fork could leave locked: each step is atomic.

    def __init__(self, limit: int = 10_000) -> None:
        self._unknown: OrderedDict[str, str] = OrderedDict()
        self._pushed: OrderedDict[str, str] = OrderedDict()
        self._in_progress: dict[tuple[int, str], object] = {}
        self._limit = limit

    def record_unknown(self, jid: str, owner: str) -> None:
        """Record that a push of this jid, for this owner, may have reached the server."""
        self._remember(self._unknown, jid, owner)

    def record_pushed(self, jid: str) -> None:
        """Record that a job of this jid was pushed."""
        self._remember(self._pushed, jid, jid)
        self._unknown.pop(jid, None)

    def is_unknown(self, jid: str) -> bool:
        """Return whether the outcome of a push of this jid is unknown."""
        return jid in self._unknown

    def owner_of_unknown(self, jid: str) -> str | None:
        """Return the owner of a push of this jid with an unknown outcome; None if there is none."""
        return self._unknown.get(jid)

    def was_pushed(self, jid: str) -> bool:
        """Return whether a job of this jid was pushed."""
        return jid in self._pushed

    def begin(self, jids: Iterable[str], by: object) -> set[str]:
        """Mark jobs as being pushed `by` this caller. Return those that no other caller pushes."""
        # By process id: a forked child inherits the marks that its parent's threads have made.
        pid, in_progress = os.getpid(), self._in_progress
        return {jid for jid in jids if in_progress.setdefault((pid, jid), by) is by}

    def end(self, jids: Iterable[str], by: object) -> None:
        """Remove the marks that `begin` has set for this caller."""
        pid = os.getpid()
        for jid in jids:
            if self._in_progress.get((pid, jid)) is by:
                del self._in_progress[pid, jid]

    def _remember(self, owners: OrderedDict[str, str], jid: str, owner: str) -> None:
        """Add an entry. Forget the oldest if there are too many; two threads may forget two."""
        owners.pop(jid, None)
        owners[jid] = owner
        if len(owners) > self._limit:
            with suppress(KeyError):
                owners.popitem(last=False)
