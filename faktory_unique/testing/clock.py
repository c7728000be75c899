"""The clock of a fake Faktory and of its locks: it moves when told."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch; called, it tells the time.

    Args:
        start: where it stands still until it is advanced. None: it runs with the wall clock, ahead
            of it by what it was advanced.
    """

    def __init__(self, start: float | datetime | None = None) -> None:
        if not isinstance(start, datetime | int | float | None):
            raise TypeError(f"{start!r}: a clock starts at a datetime or at seconds since 1970")
        if isinstance(start, datetime):
            if start.tzinfo is None:
                raise ValueError(f"{start!r} has no time zone; write datetime(…, tzinfo=UTC)")
            start = start.timestamp()
        self._start = start
        self._advanced = 0.0

    def __call__(self) -> float:
        """The time: seconds since the epoch."""
        return (time.time() if self._start is None else self._start) + self._advanced

    def __repr__(self) -> str:
        how = "running" if self._start is None else "standing still"
        return f"<Clock {self.now().isoformat()} {how}>"

    def now(self) -> datetime:
        """The time as a datetime in UTC."""
        return datetime.fromtimestamp(self(), UTC)

    def advance(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Moves it on, by the sum.

        Raises:
            ValueError: the sum is negative: no clock of a server goes back.
        """
        total = seconds + 60 * (minutes + 60 * (hours + 24 * days))
        if total < 0:
            raise ValueError(f"{total} seconds: a clock is advanced, never put back")
        self._advanced += total
