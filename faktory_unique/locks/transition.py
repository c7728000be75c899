"""A lock as a store sees it: a value that says whose it is and in which state, and a change to it.

Every change names the values that the lock may have for it to happen, so that whoever comes late
undoes nothing: a producer that confirms after a fast worker has freed the lock changes nothing, and
nobody touches another's lock.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from faktory_unique._durations import LONGEST

# Seconds that a tombstone lives at the least: longer than a producer tries to make its replacement
# known (`SWAP_DEFER_SECONDS`), and what was given up can be carried out late.
TOMBSTONE_SECONDS = 90
SWAP_DEFER_SECONDS = 60

# What a store answers in the place of a value that it did not look at. No owner ends in "?", so no
# value ends in two.
_GONE = "??"


class Transition(NamedTuple):
    """One compared change of one lock. Its reply is the value that was found (None: no lock).

    Attributes:
        key: the Redis key of the lock.
        expected: values of which the lock must have one (None: absent) for the change to happen.
        value: the value it gets; None frees it.
        ttl: whole seconds that the new value lives; of no meaning where value is None.
        extends: whether a lock that would have lived longer keeps the time it has.
        unless_replaced: the owner of this change. Where his tombstone stands, nothing is changed, and
            the reply is `gone` of who has replaced him. So no two can replace each other.
        replaces: an owner whose held lock is expected, too, and who gets a tombstone, unless he has
            one or the lock is this owner's already. It names the owner of this change, and lives as
            long as his lock would have. He gets it also where the lock is a third's: the change is
            for a job that Faktory has accepted. Of who gets it, an absent lock is expected, too.
        once: whether nothing is changed where who is replaced has his tombstone; the reply is
            `gone` of whom it names.
    """

    key: str
    expected: tuple[str | None, ...]
    value: str | None
    ttl: int
    extends: bool = False
    unless_replaced: str | None = None
    replaces: str | None = None
    once: bool = False

    @property
    def owner(self) -> str:
        """Whose lock the change is about."""
        told = (value for value in (*self.expected, self.value) if value is not None)
        return self.unless_replaced or owner_of(next(told))

    @property
    def is_read_only(self) -> bool:
        """Whether it only looks."""
        return not self.expected and self.replaces is None

    def applied(self, found: str | None) -> bool:
        """Whether the change was made, told from the value that was found."""
        return found in self.expected or (found is not None and found == self.replaces)

    @property
    def _may_take(self) -> bool:
        return None in self.expected or self.replaces is not None

    def without_acquire(self) -> Transition:
        """The same change, but that it makes no lock where none is, and takes nobody's.

        One that replaces once is as it is: whether it comes late is told by the tombstone.
        """
        if self.once or not self._may_take:
            return self
        mine = tuple(value for value in self.expected if value is not None)
        return self._replace(expected=mine, replaces=None)

    def acquire_remainder(self, found: str | None) -> Transition | None:
        """What is left of this change once `without_acquire` has found a value; None where nothing is."""
        if self.once or not self._may_take:
            return None
        if self.without_acquire().applied(found) or replaced_by(found) is not None:
            return None
        others = tuple(value for value in self.expected if value is None)
        if self.replaces is None and not (others and found is None):
            return None
        return self._replace(expected=others)


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


def replaced_marker(successor: str) -> str:
    """What a store answers to a change whose owner this one has replaced."""
    return successor + _GONE


def replaced_by(found: str | None) -> str | None:
    """Who has replaced the owner that a change was not to be made for; None where nobody has."""
    return found.removesuffix(_GONE) if found is not None and found.endswith(_GONE) else None


def read_transition(key: str) -> Transition:
    """Changes nothing; the reply tells the value."""
    return Transition(key, (), None, 0)
