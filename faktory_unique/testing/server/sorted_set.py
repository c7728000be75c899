"""A Redis sorted set as Faktory uses it: payloads ordered by the time at which they are due."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from .errors import CommandError
from .go_time import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def score(nanoseconds: int) -> float:
    """Return the score of a time: seconds as a float64 (storage/sorted_redis.go:75)."""
    return float(nanoseconds // SECOND) + (nanoseconds % SECOND) / SECOND


class SortedSet:
    """Payloads by score; those of one score are in byte order. A payload occurs once."""

    def __init__(self) -> None:
        self._scores: dict[str, float] = {}
        self._order: list[tuple[float, bytes, str]] = []

    def __len__(self) -> int:
        return len(self._scores)

    def __iter__(self) -> Iterator[str]:
        """Iterate over a copy of the payloads, in order; they may be removed during that."""
        return iter([payload for _, _, payload in self._order])

    def add(self, nanoseconds: int, payload: str) -> None:
        """Add a payload, or give it a new time if it is already in the set."""
        self.remove(payload)
        self._scores[payload] = score(nanoseconds)
        insort(self._order, self._place(payload))

    def remove(self, payload: str) -> bool:
        """Remove a payload. Return False if it was not in the set."""
        if payload not in self._scores:
            return False
        del self._order[bisect_left(self._order, self._place(payload))]
        del self._scores[payload]
        return True

    def remove_at(self, nanoseconds: int, jid: str) -> bool:
        """Remove the payload of a job by its time, as storage/sorted_redis.go:235-258 does it.

        A single payload with that time is removed, whatever its jid. Of several, the first that
        contains the jid is removed.

        Returns:
            False if none was removed.
        """
        at = score(nanoseconds)
        here = [
            payload for _, _, payload in self._order[self._first_at(at) : self._first_after(at)]
        ]
        if len(here) == 1:
            return self.remove(here[0])
        for payload in here:
            if payload.find(jid) > 0:
                return self.remove(payload)
        return False

    def process_due(self, nanoseconds: int, limit: int, process: Callable[[str], None]) -> int:
        """Remove the due payloads and process each (storage/sorted_redis.go:260-297).

        Args:
            nanoseconds: the time now.
            limit: the largest number of payloads to remove.
            process: called with each payload. If it raises CommandError, the payload is lost.

        Returns:
            The number of payloads processed.
        """
        processed = 0
        end = self._first_after(score(nanoseconds))
        for payload in [payload for _, _, payload in self._order[: min(end, limit)]]:
            self.remove(payload)
            try:
                process(payload)
            except CommandError:  # the server logs it
                continue
            processed += 1
        return processed

    def process_all_due(self, nanoseconds: int, batch: int, process: Callable[[str], None]) -> int:
        """Repeat `process_due` while its batches are full. Return the number processed."""
        total = 0
        while True:
            processed = self.process_due(nanoseconds, batch, process)
            total += processed
            if processed != batch:
                return total

    def first(self) -> float | None:
        """Return the score of the earliest payload; None if the set is empty."""
        return self._order[0][0] if self._order else None

    def clear(self) -> None:
        """Remove all payloads."""
        self._scores.clear()
        self._order.clear()

    def _place(self, payload: str) -> tuple[float, bytes, str]:
        return self._scores[payload], payload.encode(), payload

    def _first_at(self, at: float) -> int:
        return bisect_left(self._order, at, key=lambda entry: entry[0])

    def _first_after(self, at: float) -> int:
        return bisect_right(self._order, at, key=lambda entry: entry[0])
