"""Many locks: the memory of a lock among a million, and the time to acquire one more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import redis

from faktory_unique.locks.keys import lock_key
from faktory_unique.locks.lifecycle import (
    acquire_transition,
    confirm_transition,
    rollback_transition,
)
from faktory_unique.stores.redis import RedisStore

from .measurement import Row
from .redis_setup import BATCH, JOB, LEASE, OWNER, POLICY

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = 10**6
FEW = 10**3
FRESH = 2_000  # locks that a round acquires, and releases after it
MOST_BYTES = 200
TTL = 86_400


class Memory(NamedTuple):
    """The memory of a lock, as it is written to the results.

    Attributes:
        name: what was measured.
        bytes: Redis' memory for one lock among MANY.
        target: the most that it may be.
        verdict: "short" if it is more.
    """

    name: str
    bytes: int
    target: int
    verdict: Literal["ok", "short"]


class ManyLocks:
    """Two Redis servers, one with MANY locks and one with FEW.

    Args:
        many: URL of the one.
        few: URL of the other. Both are empty, and used by nothing else.
        tick: called after each BATCH of locks.
    """

    def __init__(self, many: str, few: str, tick: Callable[[], object]) -> None:
        self._many, self._few = RedisStore(many), RedisStore(few)
        with redis.Redis.from_url(many) as admin:
            before = admin.info("memory")["used_memory"]
            _fill(self._many, MANY, tick)
            self._bytes = (admin.info("memory")["used_memory"] - before) / MANY
        _fill(self._few, FEW, tick)
        self._fresh = [_key(-1 - n) for n in range(FRESH)]

    def memory(self) -> Memory:
        """Return the memory of a lock."""
        verdict: Literal["ok", "short"] = "ok" if self._bytes <= MOST_BYTES else "short"
        return Memory("memory of one lock, bytes", round(self._bytes), MOST_BYTES, verdict)

    def row(self) -> Row:
        """Return the row that acquires more locks."""

        def acquires(store: RedisStore) -> Callable[[int], None]:
            def side(count: int) -> None:
                for key in self._fresh[:count]:
                    store.run([acquire_transition(key, OWNER, LEASE)])

            return side

        name = f"take one lock among {MANY:,} vs among {FEW:,} (1.1 times the time at most)"
        sides = acquires(self._many), acquires(self._few)
        return Row(name, round(1 / 1.1, 2), FRESH, *sides, self._release)

    def close(self) -> None:
        """Close the connections."""
        self._many.close()
        self._few.close()

    def _release(self, _count: int) -> None:
        for store in (self._many, self._few):
            store.run([rollback_transition(key, OWNER) for key in self._fresh])


def _fill(store: RedisStore, count: int, tick: Callable[[], object]) -> None:
    """Set this many held locks, each with its own owner."""
    for start in range(0, count, BATCH):
        owners = {_key(n): f"{n:024x}" for n in range(start, start + BATCH)}
        store.run([acquire_transition(key, owner, LEASE) for key, owner in owners.items()])
        store.run([confirm_transition(key, owner, TTL) for key, owner in owners.items()])
        tick()


def _key(n: int) -> str:
    return lock_key(POLICY, {**JOB, "args": [n, "welcome"]})
