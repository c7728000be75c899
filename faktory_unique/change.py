"""A lock as a store sees it: a value that says whose it is and in which state, and a change to it.

Every change names the values that the lock may have for it to happen, so that whoever comes late
undoes nothing: a producer that confirms after a fast worker has freed the lock changes nothing, and
nobody touches another's lock.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from .policy import LONGEST


class Change(NamedTuple):
    """One compared change of one lock. Its reply is the value that was found (None: no lock).

    Attributes:
        key: the Redis key of the lock.
        expected: values of which the lock must have one (None: absent) for the change to happen.
        value: the value it gets; None frees it.
        ttl: whole seconds that the new value lives; of no meaning where value is None.
        extends: whether a lock that would have lived longer keeps the time it has.
    """

    key: str
    expected: tuple[str | None, ...]
    value: str | None
    ttl: int
    extends: bool = False

    def happened(self, found: str | None) -> bool:
        """Whether the change was made, told from the value that was found."""
        return found in self.expected

    def to_mine(self) -> Change:
        """The same change, but that it makes no lock where none is."""
        return self._replace(expected=tuple(value for value in self.expected if value is not None))


def whole_seconds(duration: float) -> int:
    """What Redis takes for a TTL: whole seconds, rounded up, and no more than `Policy` allows."""
    return ceil(min(duration, LONGEST))


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


def look(key: str) -> Change:
    """Changes nothing; the reply tells the value."""
    return Change(key, (), None, 0)
