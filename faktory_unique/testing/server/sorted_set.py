"""A Redis sorted set as Faktory uses it: payloads, by the moment at which they are due."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from faktory_unique.testing.go.errors import GoError

from .errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECOND = 1_000_000_000


def score(nanoseconds: int) -> float:
    """A moment as the server scores it: seconds as a float64 (storage/sorted_redis.go:75)."""
    return float(nanoseconds // _SECOND) + (nanoseconds % _SECOND) / _SECOND


class SortedSet:
    """Payloads by score, those of one score in byte order; a payload stands in it once."""

    def __init__(self) -> None:
        self._scores: dict[str, float] = {}
        self._order: list[tuple[float, bytes, str]] = []

    def __len__(self) -> int:
        return len(self._scores)

    def __iter__(self) -> Iterator[str]:
        """The payloads, in their order; of a copy, so that they may be removed meanwhile."""
        return iter([payload for _, _, payload in self._order])

    def add(self, nanoseconds: int, payload: str) -> None:
        """Adds a payload, or moves it where it is there already."""
        self.remove(payload)
        self._scores[payload] = score(nanoseconds)
        insort(self._order, self._place(payload))

    def remove(self, payload: str) -> bool:
        """Removes a payload; False when it was not there."""
        if payload not in self._scores:
            return False
        del self._order[bisect_left(self._order, self._place(payload))]
        del self._scores[payload]
        return True

    def remove_at(self, nanoseconds: int, jid: str) -> bool:
        """Removes a job's payload by its moment; False when none was found.

        As the server does it (storage/sorted_redis.go:235-258): what stands alone at that moment is
        taken for the job's, whatever it is; of several, the first in which the jid occurs.
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

    def use_due(self, nanoseconds: int, most: int, use: Callable[[str], None]) -> int:
        """Removes at most so many payloads whose moment has come, and uses each; how many.

        A payload that cannot be used is gone and not counted (storage/sorted_redis.go:260-297).
        """
        used = 0
        end = self._first_after(score(nanoseconds))
        for payload in [payload for _, _, payload in self._order[: min(end, most)]]:
            self.remove(payload)
            try:
                use(payload)
            except (CommandError, GoError):  # the server logs it
                continue
            used += 1
        return used

    def first(self) -> float | None:
        """The score of the earliest; None when the set is empty."""
        return self._order[0][0] if self._order else None

    def clear(self) -> None:
        """Removes all."""
        self._scores.clear()
        self._order.clear()

    def _place(self, payload: str) -> tuple[float, bytes, str]:
        return self._scores[payload], payload.encode(), payload

    def _first_at(self, at: float) -> int:
        return bisect_left(self._order, at, key=lambda entry: entry[0])

    def _first_after(self, at: float) -> int:
        return bisect_right(self._order, at, key=lambda entry: entry[0])
