"""A lock's value (leased or held, by which owner), and `Transition`: a compared write of it.

Every transition names the values that the lock may have for it to apply, so that a late one undoes
nothing. A producer that confirms after a fast worker has released the lock changes nothing, and no
transition touches another owner's lock.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from faktory_unique._durations import MAX_SECONDS

# Seconds that a replaced marker lives at least: longer than a producer tries to write its
# replacement (`SWAP_DEFER_SECONDS`), and a command that timed out can be carried out late.
TOMBSTONE_SECONDS = 90
SWAP_DEFER_SECONDS = 60

# The suffix of a reply that is not the lock's value. No owner ends in "?", so no value ends in two.
_REPLACED = "??"


class Transition(NamedTuple):
    """One compared write of one lock. Its reply is the value that was found (None: no lock).

    Attributes:
        key: the Redis key of the lock.
        expected: the lock must have one of these values (None: absent) for the write to apply.
        value: the value it gets; None releases it.
        ttl: whole seconds that the new value lives; without meaning if value is None.
        extends: whether a lock that would have lived longer keeps its time.
        unless_replaced: the owner of this transition. If that owner has a replaced marker, nothing
            is written, and the reply is the `replaced_marker` of its replacement. So no two jobs
            can replace each other.
        replaces: an owner to be replaced. Its held lock is expected, too, and it gets a replaced
            marker that names the owner of this transition and lives as long as its lock would have,
            unless it has one, or the lock is already this owner's. It gets the marker also if the
            lock is a third job's: Faktory has accepted the job of this transition. When it gets
            one, an absent lock is expected, too.
        once: whether nothing is written if the owner to be replaced has a marker; the reply is
            then the `replaced_marker` of the owner that it names.
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
        """The owner whose lock is written."""
        values = (value for value in (*self.expected, self.value) if value is not None)
        return self.unless_replaced or owner_of(next(values))

    @property
    def is_read_only(self) -> bool:
        """Whether it only reads."""
        return not self.expected and self.replaces is None

    def applied(self, found: str | None) -> bool:
        """Whether the write was applied, by the value that was found."""
        return found in self.expected or (found is not None and found == self.replaces)

    @property
    def _may_acquire(self) -> bool:
        return None in self.expected or self.replaces is not None

    def without_acquire(self) -> Transition:
        """Return the same transition for a lock that stands: it acquires no absent lock.

        A transition that replaces once stays as it is: the marker says whether it comes late.
        """
        if self.once or not self._may_acquire:
            return self
        own = tuple(value for value in self.expected if value is not None)
        return self._replace(expected=own, replaces=None)

    def acquire_remainder(self, found: str | None) -> Transition | None:
        """Return what is left to do after `without_acquire` found a value; None if nothing is."""
        if self.once or not self._may_acquire:
            return None
        if self.without_acquire().applied(found) or replaced_by(found) is not None:
            return None
        absent = tuple(value for value in self.expected if value is None)
        if self.replaces is None and not (absent and found is None):
            return None
        return self._replace(expected=absent)


def whole_seconds(duration: float) -> int:
    """Return a TTL for Redis: whole seconds, rounded up, at most as long as `Policy` allows."""
    return ceil(min(duration, MAX_SECONDS))


def leased(owner: str) -> str:
    """Return the value of a lock whose job's push is not confirmed yet."""
    return f"{owner}?"


def held(owner: str) -> str:
    """Return the value of a lock whose job Faktory has accepted."""
    return owner


def owner_of(value: str) -> str:
    """Return the owner in a lock's value: the jid under which the work was first pushed."""
    return value.removesuffix("?")


def is_leased(value: str) -> bool:
    """Whether the push of the job with this lock value is still unconfirmed."""
    return value.endswith("?")


def replaced_marker(replacement: str) -> str:
    """Return the reply to a transition whose owner was replaced by this one."""
    return replacement + _REPLACED


def replaced_by(found: str | None) -> str | None:
    """Return which owner has replaced the transition's own; None if none has."""
    return (
        found.removesuffix(_REPLACED) if found is not None and found.endswith(_REPLACED) else None
    )


def read_transition(key: str) -> Transition:
    """Return a transition that writes nothing: its reply is the lock's value."""
    return Transition(key, (), None, 0)
