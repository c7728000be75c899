"""What the programs here share: they answer lines, and let nothing count that was not done.

A program is started as `python -m benchmarks.peers.python.NAME REDIS`. It says `ready`, and then
for each line `take_release COUNT` how many seconds that took. Whoever asks flushes Redis before.
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
WARM = 100  # operations before the first that counts: the connection is up, scripts are loaded


def arguments(count: int) -> list[list[object]]:
    """Those of so many tasks, all different."""
    return [[n, "welcome"] for n in range(count)]


class Round:
    """Times its block, with no garbage collection in it; raises unless it did what it was to do.

    Args:
        url: Of the Redis.
        keys: What the block takes and releases, each once.
    """

    def __init__(self, url: str, keys: Sequence[str]) -> None:
        self.seconds = 0.0
        self._client = redis.Redis.from_url(url)
        self._keys = keys
        self._changes = 0
        self._start = 0.0

    def __enter__(self) -> Self:
        self._changes = self._changed()
        gc.collect()
        gc.disable()
        self._start = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.seconds = perf_counter() - self._start
        gc.enable()
        if kind is None:
            self._make_sure()
        self._client.close()

    def _make_sure(self) -> None:
        """Each lock was set and deleted: two changes at least, and what is refused is none."""
        if left := self._client.exists(*self._keys):
            raise RuntimeError(f"{left} of {len(self._keys)} locks were not released")
        changes = self._changed() - self._changes
        if changes < 2 * len(self._keys):
            raise RuntimeError(f"only {changes} changes by {len(self._keys)} takes and releases")

    def _changed(self) -> int:
        """How often the data changed since the server last saved it, which here it never does."""
        changes: int = self._client.info("persistence")["rdb_changes_since_last_save"]
        return changes


def serve(take_release: Callable[[int], float]) -> None:
    """Answer until the end of stdin.

    Args:
        take_release: Takes and releases so many locks, one after the other; returns the seconds.
    """
    take_release(WARM)
    print("ready", flush=True)
    for line in sys.stdin:
        operation, count = line.split()
        if operation != "take_release":
            sys.exit(f"no such operation: {operation}")
        print(take_release(int(count)), flush=True)
