"""The life of a lock (docs/design.md §5), pure: what each event changes, and for how long.

Every change names the values that the lock may have for it to happen, so that whoever comes late
undoes nothing: a producer that confirms after a fast worker has freed the lock changes nothing, and
nobody touches another's lock. The store carries changes out; no clock and no I/O here.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

# Faktory promotes scheduled jobs every 5 s and can skip a tick (server/task_runner.go:119-121).
PROMOTION_MARGIN = 10.0


class Change(NamedTuple):
    """One compared change of one lock. Its reply is the value that was found (None: no lock).

    Attributes:
        key: the Redis key of the lock.
        expected: values of which the lock must have one (None: absent) for the change to happen.
        value: the value it gets; None frees it.
        ttl: whole seconds that the new value lives; of no meaning where value is None.
    """

    key: str
    expected: tuple[str | None, ...]
    value: str | None
    ttl: int

    def happened(self, found: str | None) -> bool:
        """Whether the change was made, told from the value that was found."""
        return found in self.expected


def leased(owner: str) -> str:
    """The value of a lock whose job's push Faktory has not yet confirmed."""
    return f"{owner}?"


def held(owner: str) -> str:
    """The value of a lock whose job Faktory has accepted."""
    return owner


def owner_of(value: str) -> str:
    """The jid under which the work that this value locks was first pushed."""
    return value.removesuffix("?")


def is_leased(value: str) -> bool:
    """Whether the push that this value locks for is still unconfirmed."""
    return value.endswith("?")


def take(key: str, owner: str, lease: float) -> Change:
    """Before PUSH: absent → leased."""
    return Change(key, (None,), leased(owner), ceil(lease))


def renew(key: str, owner: str, lease: float) -> Change:
    """Before PUSH of a job whose own lease still stands, or has just run out: leased anew."""
    return Change(key, (leased(owner), None), leased(owner), ceil(lease))


def confirm(key: str, owner: str, ttl: float) -> Change:
    """PUSH accepted: leased by me → held. Anything else: leave it, the worker was faster."""
    return Change(key, (leased(owner),), held(owner), ceil(ttl))


def give_back(key: str, owner: str) -> Change:
    """PUSH refused or not sent: freed while still leased by me; never a lock that is held."""
    return Change(key, (leased(owner),), None, 0)


def release(key: str, owner: str) -> Change:
    """The job is over: freed if mine, leased (a worker faster than its producer) or held."""
    return Change(key, (leased(owner), held(owner)), None, 0)


def look(key: str) -> Change:
    """Changes nothing; the reply tells the value."""
    return Change(key, (), None, 0)


def wait(due: datetime | None, now: datetime) -> float:
    """Seconds until a job pushed now is in its queue: 0 when it is due, else with the margin.

    Args:
        due: when the job is due, with a time zone; None for at once.
        now: the present, with a time zone.
    """
    if due is None:
        return 0.0
    delay = (due - now).total_seconds()
    return delay + PROMOTION_MARGIN if delay > 0 else 0.0
