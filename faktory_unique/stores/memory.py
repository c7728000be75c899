"""The `MemoryStore` of `memory://`: locks in a dict, for demos, tests and simulation."""

from __future__ import annotations

import heapq
import os
import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.transition import TOMBSTONE_SECONDS, held, leased, replaced_marker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from faktory_unique.locks.transition import Transition


class MemoryStore:
    """A `Store` in the memory of this process.

    Args:
        clock: returns seconds since any start, and never goes backwards. Locks lapse by it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._mutex = threading.RLock()  # a signal handler may push, too
        # By key: the value, and its expiry as a time of the clock. Side keys are here, too.
        self._locks: dict[str, tuple[str, float]] = {}
        # A heap of all future expiries, also of overwritten values, to find the lapsed locks.
        self._expiries: list[tuple[float, str]] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def run(self, transitions: Sequence[Transition]) -> list[str | None]:
        """Apply each transition; see `Store.run`."""
        with self._mutex:
            self._delete_lapsed()
            return [self._apply(transition) for transition in transitions]

    def read(self, keys: Sequence[str]) -> list[tuple[str, float] | None]:
        """Return the value of each lock and the seconds until it lapses; see `Store.read`."""
        with self._mutex:
            self._delete_lapsed()
            locks, now = [self._locks.get(key) for key in keys], self._clock()
        return [lock and (lock[0], lock[1] - now) for lock in locks]

    def scan(self, prefix: str) -> Iterator[Sequence[str]]:
        """Yield the keys that start with a prefix, in one page; see `Store.scan`."""
        yield [key for key in self.values() if key.startswith(prefix)]

    def ttl(self, key: str) -> float | None:
        """Return the seconds until the lock lapses; None if there is no lock."""
        with self._mutex:
            self._delete_lapsed()
            lock = self._locks.get(key)
            return None if lock is None else lock[1] - self._clock()

    def values(self) -> dict[str, str]:
        """Return the value of each lock, by key."""
        with self._mutex:
            self._delete_lapsed()
            return {key: value for key, (value, _) in self._locks.items()}

    def clear(self) -> None:
        """Delete all locks and side keys."""
        with self._mutex:
            self._locks.clear()
            self._expiries.clear()

    def close(self) -> None:
        """Do nothing: closing a store never releases a lock."""

    def _apply(self, transition: Transition) -> str | None:
        """Apply a transition as the Lua scripts do. Return the value found, or their reply."""
        lock = self._locks.get(transition.key)
        found = None if lock is None else lock[0]
        expected = transition.applied(found)
        if transition.unless_replaced is not None:
            successor = self._successor(transition, transition.unless_replaced)
            if successor is not None:
                return replaced_marker(successor)
        if transition.replaces is not None:
            successor = self._successor(transition, transition.replaces)
            if successor is not None and transition.once:
                return replaced_marker(successor)
            if successor is None and found not in {
                held(transition.owner),
                leased(transition.owner),
            }:
                self._write_tombstone(transition, transition.replaces, lock)
                expected = expected or found is None
        if expected and transition.value is None:
            self._locks.pop(transition.key, None)
        elif expected and transition.value is not None:
            expiry = self._clock() + transition.ttl
            if transition.extends and lock is not None:
                expiry = max(expiry, lock[1])
            self._set(transition.key, transition.value, expiry)
        return found

    def _successor(self, transition: Transition, owner: str) -> str | None:
        """Return the owner that has replaced the given one; None if it has no tombstone."""
        tombstone = self._locks.get(tombstone_key(transition.key, owner))
        return None if tombstone is None else tombstone[0]

    def _write_tombstone(
        self, transition: Transition, replaced: str, lock: tuple[str, float] | None
    ) -> None:
        """Record that the transition's owner has replaced another owner.

        Args:
            transition: the transition that replaces.
            replaced: the owner that it replaces.
            lock: the value and expiry under the key; None if there is no lock.
        """
        expiry = self._clock() + max(transition.ttl, TOMBSTONE_SECONDS)
        if lock is not None and lock[0] == held(replaced):
            expiry = max(expiry, lock[1])
        self._set(tombstone_key(transition.key, replaced), transition.owner, expiry)

    def _set(self, key: str, value: str, expiry: float) -> None:
        self._locks[key] = value, expiry
        heapq.heappush(self._expiries, (expiry, key))

    def _delete_lapsed(self) -> None:
        """Delete the lapsed locks and expired side keys."""
        now = self._clock()
        while self._expiries and self._expiries[0][0] <= now:
            _, key = heapq.heappop(self._expiries)
            lock = self._locks.get(key)
            if lock is not None and lock[1] <= now:
                del self._locks[key]


_stores_by_name: WeakValueDictionary[tuple[int, str], MemoryStore] = WeakValueDictionary()


def register_store(name: str, store: MemoryStore) -> None:
    """Make `memory://name` mean this store, for as long as the caller keeps a reference to it."""
    _stores_by_name[os.getpid(), name] = store


def lookup_store(name: str) -> MemoryStore | None:
    """Return the store of `memory://name`; None if this process itself registered none.

    A forked child does not find the stores of its parent.
    """
    return _stores_by_name.get((os.getpid(), name))
