"""Claims: the unique jobs of a push on their way to a lock, and the pushes whose end is open."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .events import Event
from .stamp import Stamp

if TYPE_CHECKING:
    from .chain import Payload
    from .events import EventName
    from .policy import Policy


@dataclass(slots=True)
class Claim:
    """A unique job's claim to its key.

    Attributes:
        job: the payload as it came.
        policy: what unique means for it.
        key: the Redis key of its lock.
        wait: seconds until it is due in its queue, with the margin.
        jid: the jid to go out under.
        took: whether this push turned an absent lock into a leased one.
        guarded: whether it has a lock; False where it goes out without, the store being away.
    """

    job: Payload
    policy: Policy
    key: str
    wait: float
    jid: str
    took: bool = False
    guarded: bool = True

    @property
    def owner(self) -> str:
        """The value of the lock: the jid under which the caller pushes this work."""
        owner: str = self.job["jid"]
        return owner

    @property
    def ttl(self) -> float:
        """Seconds that the lock lives once the push is confirmed."""
        return self.wait + self.policy.ttl

    def stamped(self) -> Payload:
        """The payload that goes out."""
        policy = self.policy
        stamp = Stamp(self.key, self.owner, policy.until, policy.ttl, policy.renew, policy.on_death)
        return stamp.written_on({**self.job, "jid": self.jid})

    def event(self, name: EventName, told: str = "") -> Event:
        """Something that happened to its lock."""
        return Event(name, self.key, self.owner, self.jid, self.job["jobtype"], told)


class OpenPushes:
    """The jids whose push is going on in this process, and those whose push ended unknown.

    A job of the latter may be on the server. Pushed again it goes out under a new jid, also after
    its lease has run out: one jid sent twice destroys reservations (docs/design.md §5). The last
    ten thousand are remembered.
    """

    # Without a lock, which a fork could leave taken: each step is atomic.

    def __init__(self, most: int = 10_000) -> None:
        self._unknown: OrderedDict[str, None] = OrderedDict()
        self._going_on: dict[tuple[int, str], object] = {}
        self._most = most

    def __contains__(self, jid: str) -> bool:
        return jid in self._unknown

    def add(self, jid: str) -> None:
        """Remembers a jid whose push ended unknown, forgetting the oldest of too many."""
        # Two threads at once forget one jid more at the worst.
        self._unknown[jid] = None
        self._unknown.move_to_end(jid)
        if len(self._unknown) > self._most:
            self._unknown.popitem(last=False)

    def begin(self, jid: str, by: object) -> bool:
        """Whether nobody else in this process is pushing this very job; `by` is, from now on."""
        # By process id: a fork inherits what another thread of its parent was amid.
        return self._going_on.setdefault((os.getpid(), jid), by) is by

    def end(self, jid: str) -> None:
        """Its push is over."""
        self._going_on.pop((os.getpid(), jid), None)
