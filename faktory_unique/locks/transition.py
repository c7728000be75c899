"""A lock's value (leased or held, by which owner), and `Transition`: a compared write of it.

A transition is applied only if the lock has one of the values that it expects, so a late transition
undoes nothing. A confirm that comes after a fast worker has released the lock changes nothing, and
no transition touches another owner's lock.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from faktory_unique._durations import MAX_SECONDS

# Seconds that a tombstone lives at least: longer than a producer retries its swap
# (`SWAP_DEFER_SECONDS`), plus a margin: a command that timed out can still be carried out.
TOMBSTONE_SECONDS = 90
SWAP_DEFER_SECONDS = 60

# The suffix of a replaced marker. No owner ends in "?", so no value of a lock ends in "??".
_MARKER_SUFFIX = "??"


class Transition(NamedTuple):
    """One compared write of one lock. Its reply is the value that was found (None: no lock).

    Attributes:
        key: the Redis key of the lock.
        expected: the values that the lock may have for the write to apply (None: absent). Empty if
            only the lock of `replaces` is expected, or if the transition only reads.
        value: the lock's new value; None releases the lock.
        ttl: the TTL of the new value, in whole seconds; ignored if `value` is None.
        extends: whether the lock keeps its present TTL if that is longer than `ttl`.
        unless_replaced: the owner of this transition; None if it reads no tombstone. If this owner
            has a tombstone, nothing is written, and the reply is the `replaced_marker` of its
            successor. So no two jobs can replace each other.
        replaces: an owner that this transition replaces; None if it replaces none. The held lock of
            the replaced owner is expected, too. The replaced owner gets a tombstone that names this
            transition's owner, except in two cases: it already has one, or this transition's owner
            already has the lock. If a third owner has the lock, the tombstone is written as well,
            since Faktory has accepted the job of this transition. If a tombstone is written, an
            absent lock is expected, too.
        once: whether a tombstone of the replaced owner forbids the write. The reply is then the
            `replaced_marker` of the successor that the tombstone names.
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
        """Whether the transition only reads: its reply is the value found, and nothing changes."""
        return not self.expected and self.replaces is None

    def applied(self, found: str | None) -> bool:
        """Return whether the write was applied, given the value that was found."""
        return found in self.expected or (found is not None and found == self.replaces)

    @property
    def _may_acquire(self) -> bool:
        return None in self.expected or self.replaces is not None

    def without_acquire(self) -> Transition:
        """Return the part of this transition that acquires no absent lock.

        A transition with `once` is returned unchanged: if it is late, the tombstone forbids it.
        """
        if self.once or not self._may_acquire:
            return self
        present = tuple(value for value in self.expected if value is not None)
        return self._replace(expected=present, replaces=None)

    def acquire_remainder(self, found: str | None) -> Transition | None:
        """Return the transition that is left to apply after `without_acquire`; None if none is.

        Args:
            found: the reply to `without_acquire`.
        """
        if self.once or not self._may_acquire:
            return None
        if self.without_acquire().applied(found) or replaced_by(found) is not None:
            return None
        absent = tuple(value for value in self.expected if value is None)
        if self.replaces is None and found is not None:
            return None
        return self._replace(expected=absent)


def whole_seconds(duration: float) -> int:
    """Return a TTL for Redis: seconds, rounded up to an integer, ten years at most."""
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
    """Return whether the push of the job with this lock value is still unconfirmed."""
    return value.endswith("?")


def replaced_marker(successor: str) -> str:
    """Return the reply to a transition that a tombstone forbids: it names the successor."""
    return successor + _MARKER_SUFFIX


def replaced_by(found: str | None) -> str | None:
    """Return the successor that a replaced marker names; None if the reply is no such marker."""
    if found is None or not found.endswith(_MARKER_SUFFIX):
        return None
    return found.removesuffix(_MARKER_SUFFIX)


def read_transition(key: str) -> Transition:
    """Return a transition that writes nothing: its reply is the lock's value."""
    return Transition(key, (), None, 0)
