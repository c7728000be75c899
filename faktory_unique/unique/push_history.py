"""The pushes that this process remembers: in progress, pushed, or with an unknown outcome."""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class PushHistory:
    """The pushes of this process: one jid sent twice destroys reservations.

    A job whose push had an unknown outcome may be on the server. Pushed again, it is the same work
    with the same owner, under a new jid, also after its lease has run out (docs/design.md §5). A
    job that was pushed is other work when it is pushed again without a lock: it gets a new owner.
    Of both kinds the last ten thousand are remembered, and all pushes that are in progress.
    """

    # Without a mutex, which a fork could leave locked: each step is atomic.

    def __init__(self, most: int = 10_000) -> None:
        self._unknown: OrderedDict[str, str] = OrderedDict()
        self._pushed: OrderedDict[str, str] = OrderedDict()
        self._in_progress: dict[tuple[int, str], object] = {}
        self._most = most

    def record_unknown(self, jid: str, owner: str) -> None:
        """Note that a push of this jid, for this owner, may have reached the server."""
        self._remember(self._unknown, jid, owner)

    def record_pushed(self, jid: str) -> None:
        """Note that a job of this jid was pushed."""
        self._remember(self._pushed, jid, jid)
        self._unknown.pop(jid, None)

    def is_unknown(self, jid: str) -> bool:
        """Whether a push of this jid may have reached the server."""
        return jid in self._unknown

    def owner_of_unknown(self, jid: str) -> str | None:
        """Return the owner for which a job of this jid was pushed with unknown outcome."""
        return self._unknown.get(jid)

    def was_pushed(self, jid: str) -> bool:
        """Whether a job of this jid was pushed."""
        return jid in self._pushed

    def begin(self, jids: Iterable[str], by: object) -> set[str]:
        """Mark jobs as being pushed `by` this caller. Return those that no other caller pushes."""
        # By process id: a fork inherits the pushes that other threads of its parent had begun.
        pid, in_progress = os.getpid(), self._in_progress
        return {jid for jid in jids if in_progress.setdefault((pid, jid), by) is by}

    def end(self, jids: Iterable[str], by: object) -> None:
        """Unmark the jobs that this caller pushed."""
        pid = os.getpid()
        for jid in jids:
            if self._in_progress.get((pid, jid)) is by:
                del self._in_progress[pid, jid]

    def _remember(self, owners: OrderedDict[str, str], jid: str, owner: str) -> None:
        """Add an entry. Forget the oldest if there are too many; two threads may forget two."""
        owners.pop(jid, None)
        owners[jid] = owner
        if len(owners) > self._most:
            with suppress(KeyError):
                owners.popitem(last=False)
