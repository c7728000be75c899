"""`Clock`: the time of a fake Faktory and its locks, which a test can stop and advance."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """A clock; call it to get the seconds since the epoch.

    Args:
        start: the time at which the clock stands still until it is advanced: a datetime or seconds
            since the epoch. None: the clock runs with the wall clock, plus all advances.

    Raises:
        TypeError: the start is of another type.
        ValueError: the start is a datetime without a time zone.
    """

    def __init__(self, start: float | datetime | None = None) -> None:
        if not isinstance(start, datetime | int | float | None):
            raise TypeError(
                f"{start!r}: a clock starts at a datetime or at seconds since the epoch"
            )
        if isinstance(start, datetime):
            if start.tzinfo is None:
                raise ValueError(f"{start!r} has no time zone; write datetime(…, tzinfo=UTC)")
            start = start.timestamp()
        self._start = start
        self._advanced = 0.0

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        return (time.time() if self._start is None else self._start) + self._advanced

    def __repr__(self) -> str:
        state = "running" if self._start is None else "standing still"
        return f"<Clock {self.now().isoformat()} {state}>"

    def now(self) -> datetime:
        """Return the time as a datetime in UTC."""
        return datetime.fromtimestamp(self(), UTC)

    def advance(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Advance the clock by the sum of all arguments.

        Raises:
            ValueError: the sum is negative. A server's clock never goes back.
        """
        total = seconds + 60 * (minutes + 60 * (hours + 24 * days))
        if total < 0:
            raise ValueError(f"{total} seconds: a clock never goes back; pass 0 or more")
        self._advanced += total
