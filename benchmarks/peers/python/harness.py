"""Harness of the peer programs: serve requests on stdin, time a round, and check its work.

A program is started as `python -m benchmarks.peers.python.NAME REDIS`. It prints `ready`, and then
for each line `take_release COUNT` on stdin the seconds that this took. The caller flushes Redis
before each line.
"""

from __future__ import annotations

import gc
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Self

import redis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEASE = 60
OWNER = "b4a577edbccf1d805744efa9"
TASK = "SendMail"
WARM_UP = 100  # operations before the first that counts: they connect and load scripts


def arguments(count: int) -> list[list[object]]:
    """Return the arguments of this many different tasks."""
    return [[n, "welcome"] for n in range(count)]


class Round:
    """Times its block without garbage collection; raises if the block did not do its work.

    Args:
        url: the URL of the Redis.
        keys: the locks that the block acquires and releases, each once.

    Attributes:
        seconds: the time of the block.
    """

    def __init__(self, url: str, keys: Sequence[str]) -> None:
        self.seconds = 0.0
        self._client = redis.Redis.from_url(url)
        self._keys = keys
        self._changes = 0
        self._start = 0.0

    def __enter__(self) -> Self:
        self._changes = self._count_changes()
        gc.collect()
        gc.disable()
        self._start = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.seconds = perf_counter() - self._start
        gc.enable()
        if kind is None:
            self._check()
        self._client.close()

    def _check(self) -> None:
        """Raise RuntimeError unless each lock was set and deleted: at least two changes per key."""
        if left := self._client.exists(*self._keys):
            raise RuntimeError(f"{left} of {len(self._keys)} locks were not released")
        changes = self._count_changes() - self._changes
        if changes < 2 * len(self._keys):
            raise RuntimeError(
                f"only {changes} changes for {len(self._keys)} locks acquired and released"
            )

    def _count_changes(self) -> int:
        """Return the changes since the server last saved its data, which here it never does."""
        changes: int = self._client.info("persistence")["rdb_changes_since_last_save"]
        return changes


def serve(take_release: Callable[[int], float]) -> None:
    """Reply to requests until the end of stdin.

    Args:
        take_release: acquires and releases this many locks, one by one; returns the seconds.
    """
    take_release(WARM_UP)
    print("ready", flush=True)
    for line in sys.stdin:
        operation, count = line.split()
        if operation != "take_release":
            sys.exit(f"no such operation: {operation}")
        print(take_release(int(count)), flush=True)
