"""`WriteQueue`: the lock writes that wait for the store, by key and owner, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from faktory_unique.errors import StoreError
    from faktory_unique.locks.transition import Transition

LockId: TypeAlias = tuple[str, str]  # key and owner

OnApplied: TypeAlias = "Callable[[Transition, str | None], None]"
"""Called with a deferred transition once the store has replied, and with the value found."""

OnRefused: TypeAlias = "Callable[[str], None]"
"""Called with the store's words if it refuses a deferred transition for good."""


class Write(NamedTuple):
    """A lock write that waits.

    Attributes:
        transition: what to write.
        expires_at: when the write makes no sense any more, a time of the owner's clock.
        on_applied: called with the reply.
        on_refused: called if there will never be a reply; None if that is only logged.
    """

    transition: Transition
    expires_at: float
    on_applied: OnApplied
    on_refused: OnRefused | None


class WriteQueue:
    """The writes that wait. A signal handler may change them at any point, so none is taken twice.

    A write of a lock that has one already takes its place at the end.
    """

    def __init__(self) -> None:
        self._writes: dict[LockId, Write] = {}
        self._owners: dict[str, dict[str, None]] = {}  # by key, in order

    def __len__(self) -> int:
        return len(self._writes)

    def __iter__(self) -> Iterator[LockId]:
        return iter(tuple(self._writes))

    def __contains__(self, lock_id: LockId) -> bool:
        return lock_id in self._writes

    def put(self, write: Write) -> None:
        """Add a write at the end. Remove the one that its lock has already."""
        lock_id = lock_id_of(write.transition)
        self.remove(lock_id)
        self._writes[lock_id] = write
        self._owners.setdefault(lock_id[0], {})[lock_id[1]] = None

    def remove(self, lock_id: LockId) -> None:
        """Remove a lock's write, if it has one."""
        self._writes.pop(lock_id, None)
        key, owner = lock_id
        owners = self._owners.get(key, {})
        owners.pop(owner, None)
        if not owners:
            self._owners.pop(key, None)

    def remove_these(self, writes: Iterable[Write]) -> None:
        """Remove writes, except those that a newer one has followed."""
        for write in writes:
            lock_id = lock_id_of(write.transition)
            if self._writes.get(lock_id) is write:
                self.remove(lock_id)

    def remove_oldest(self) -> LockId:
        """Remove the write that has waited longest. Return its lock."""
        lock_id = next(iter(self._writes))
        self.remove(lock_id)
        return lock_id

    def clear(self) -> None:
        """Remove all writes."""
        self._writes.clear()
        self._owners.clear()

    def forbid_acquire(self, lock_id: LockId) -> None:
        """Change a lock's write, if it has one, so that it acquires no absent lock."""
        write = self._writes.get(lock_id)
        if write is not None:
            transition = write.transition.without_acquire()
            self._writes[lock_id] = write._replace(transition=transition)

    def of_keys(self, keys: Iterable[str]) -> list[LockId]:
        """Return the locks under these keys that have a write, oldest first for each key."""
        return [(key, owner) for key in keys for owner in tuple(self._owners.get(key, ()))]

    def unexpired(self, lock_ids: Iterable[LockId], now: float) -> dict[LockId, Write]:
        """Return the writes of these locks. Remove those that have expired."""
        writes = {i: write for i in lock_ids if (write := self._writes.get(i)) is not None}
        expired = [i for i, write in writes.items() if write.expires_at <= now]
        self.remove_these(writes.pop(lock_id) for lock_id in expired)
        return writes


def lock_id_of(transition: Transition) -> LockId:
    """Return the lock that a transition is about."""
    return transition.key, transition.owner


def values_found(writes: dict[LockId, Write], error: StoreError) -> dict[LockId, str | None]:
    """Return the value found by each write that was carried out completely before an error."""
    return {
        lock_id: value
        for transition, value in error.found.items()
        if (write := writes.get(lock_id := lock_id_of(transition))) is not None
        and (transition.applied(value) or write.transition.acquire_remainder(value) is None)
    }
