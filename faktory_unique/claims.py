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
        owner: the value of the lock: the jid under which the work is pushed first.
        jid: the jid to go out under.
        took: whether this push turned an absent lock into a leased one.
        guarded: whether it has a lock; False where it goes out without, the store being away.
    """

    job: Payload
    policy: Policy
    key: str
    wait: float
    owner: str
    jid: str
    took: bool = False
    guarded: bool = True

    @property
    def submitted_jid(self) -> str:
        """The jid that the caller's Job bears."""
        jid: str = self.job["jid"]
        return jid

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


class Pushes:
    """What this process remembers of its pushes: one jid sent twice destroys reservations.

    A job whose push ended unknown may be on the server: pushed again, it is the same work, with the
    same owner, under a new jid, also after its lease has run out (docs/design.md §5). One that was
    pushed is other work when it is pushed again, its lock being gone: a new owner, too. Of each,
    the last ten thousand are remembered; and of those that are going on, all.
    """

    # Without a lock, which a fork could leave taken: each step is atomic.

    def __init__(self, most: int = 10_000) -> None:
        self._unknown: OrderedDict[str, None] = OrderedDict()
        self._pushed: OrderedDict[str, None] = OrderedDict()
        self._going_on: dict[tuple[int, str], object] = {}
        self._most = most

    def ended_unknown(self, jid: str) -> None:
        """A push of this jid may have arrived."""
        self._remember(self._unknown, jid)

    def arrived(self, jid: str) -> None:
        """A job of this jid was pushed."""
        self._remember(self._pushed, jid)

    def was_unknown(self, jid: str) -> bool:
        """Whether a push of this jid may have arrived."""
        return jid in self._unknown

    def has_arrived(self, jid: str) -> bool:
        """Whether a job of this jid was pushed."""
        return jid in self._pushed

    def begin(self, jid: str, by: object) -> bool:
        """Whether nobody else in this process is pushing this very job; `by` is, from now on."""
        # By process id: a fork inherits what another thread of its parent was amid.
        return self._going_on.setdefault((os.getpid(), jid), by) is by

    def end(self, jid: str) -> None:
        """Its push is over."""
        self._going_on.pop((os.getpid(), jid), None)

    def _remember(self, jids: OrderedDict[str, None], jid: str) -> None:
        """Forgets the oldest of too many; two threads at once forget one more at the worst."""
        jids[jid] = None
        jids.move_to_end(jid)
        if len(jids) > self._most:
            jids.popitem(last=False)
