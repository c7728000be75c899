"""The pushes of this process: which are going on, which ended, and how."""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class PushHistory:
    """What this process remembers of its pushes: one jid sent twice destroys reservations.

    A job whose push ended unknown may be on the server: pushed again, it is the same work, with the
    same owner, under a new jid, also after its lease has run out (docs/design.md §5). One that was
    pushed is other work when it is pushed again, its lock being gone: a new owner, too. Of each,
    the last ten thousand are remembered; and of those that are going on, all.
    """

    # Without a lock, which a fork could leave taken: each step is atomic.

    def __init__(self, most: int = 10_000) -> None:
        self._unknown: OrderedDict[str, str] = OrderedDict()
        self._pushed: OrderedDict[str, str] = OrderedDict()
        self._going_on: dict[tuple[int, str], object] = {}
        self._most = most

    def ended_unknown(self, jid: str, owner: str) -> None:
        """A push of this jid, for this owner, may have arrived."""
        self._remember(self._unknown, jid, owner)

    def arrived(self, jid: str) -> None:
        """A job of this jid was pushed."""
        self._remember(self._pushed, jid, jid)
        self._unknown.pop(jid, None)

    def was_unknown(self, jid: str) -> bool:
        """Whether a push of this jid may have arrived."""
        return jid in self._unknown

    def owner_of_unknown(self, jid: str) -> str | None:
        """For whom a job of this jid was pushed whose outcome is open."""
        return self._unknown.get(jid)

    def has_arrived(self, jid: str) -> bool:
        """Whether a job of this jid was pushed."""
        return jid in self._pushed

    def begin(self, jids: Iterable[str], by: object) -> set[str]:
        """Those of the jobs that nobody else in this process is pushing; `by` is, from now on."""
        # By process id: a fork inherits what another thread of its parent was amid.
        pid, going_on = os.getpid(), self._going_on
        return {jid for jid in jids if going_on.setdefault((pid, jid), by) is by}

    def end(self, jids: Iterable[str], by: object) -> None:
        """Their push is over, where it was this one's."""
        pid = os.getpid()
        for jid in jids:
            if self._going_on.get((pid, jid)) is by:
                del self._going_on[pid, jid]

    def _remember(self, owners: OrderedDict[str, str], jid: str, owner: str) -> None:
        """Forgets the oldest of too many; two threads at once forget one more at the worst."""
        owners.pop(jid, None)
        owners[jid] = owner
        if len(owners) > self._most:
            with suppress(KeyError):
                owners.popitem(last=False)
