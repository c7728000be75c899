"""Claims: the unique jobs of a push on their way to a lock, and the pushes whose end is open."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .stamp import Stamp

if TYPE_CHECKING:
    from .chain import Payload
    from .policy import Policy


@dataclass(slots=True)
class Claim:
    """A unique job's claim to its key.

    Attributes:
        job: the payload as it came.
        policy: what unique means for it.
        key: the Redis key of its lock.
        wait: seconds until it is due in its queue, with the margin.
        took: whether this push turned an absent lock into a leased one.
        jid: the jid to go out under.
    """

    job: Payload
    policy: Policy
    key: str
    wait: float
    jid: str
    took: bool = False

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
        stamp = Stamp(self.key, self.owner, "success", self.policy.ttl)
        return stamp.written_on({**self.job, "jid": self.jid})


class OpenPushes:
    """The jids whose push ended unknown, the last ten thousand of this process.

    Their job may be on the server. Pushed again they go out under a new jid, also after their
    lease has run out: one jid sent twice destroys reservations (docs/design.md §5).
    """

    def __init__(self, most: int = 10_000) -> None:
        self._jids: OrderedDict[str, None] = OrderedDict()
        self._most = most

    def __contains__(self, jid: str) -> bool:
        return jid in self._jids

    def add(self, jid: str) -> None:
        """Remembers a jid, forgetting the oldest where there are too many."""
        # Without a lock, which a fork could leave taken: each step is atomic, and two threads at
        # once forget one jid more at the worst.
        self._jids[jid] = None
        self._jids.move_to_end(jid)
        if len(self._jids) > self._most:
            self._jids.popitem(last=False)
