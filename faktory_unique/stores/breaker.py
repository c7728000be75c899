"""`CircuitBreaker`: after several failures in a row, calls fail at once instead of timing out."""

from __future__ import annotations

import os
import time
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from faktory_unique._util import log
from faktory_unique.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES_TO_OPEN = 3

# Seconds from a failure to the next probe. Each probe may cost its caller a whole time-out.
PROBE_SECONDS = 2.0

# Seconds after which another caller may probe although a probe has not ended: a signal handler may
# have raised an exception in it at any time.
_LONGEST_PROBE_SECONDS = 10.0

_T = TypeVar("_T")


class CircuitBreaker:
    """The judgement whether a server is available, shared by all callers of a process.

    It is closed while calls succeed. After some failures in a row it is open: one caller at a time
    probes the server, with a pause after each failure, and all others fail at once. The first
    success closes it.

    Args:
        name: the server, for messages. It contains no password.
        clock: returns seconds since any start.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._reset()

    def _reset(self) -> None:
        self._failures = 0
        self._opened_at: float | None = None
        self._next_probe_at = 0.0
        self._probe_ends_at = 0.0
        self._mutex = RLock()  # reentrant: a signal handler may push
        self._pid = os.getpid()

    def call(self, attempt: Callable[[], _T]) -> _T:
        """Return the result of an attempt, unless the breaker is open.

        Raises:
            StoreUnavailable: the breaker is open, or the attempt raised it.
            StoreError: the attempt raised it. The server is available then: it has replied.
        """
        if self._pid != os.getpid():
            self._reset()
        is_probe = self._opened_at is not None
        if is_probe:
            self._begin_probe()
        try:
            result = attempt()
        except StoreUnavailable as exc:
            self._on_failure(exc)
            raise
        except StoreError:
            self._on_success()
            raise
        finally:
            if is_probe:
                self._probe_ends_at = 0.0
        if self._failures:
            self._on_success()
        return result

    def allow_probe(self) -> None:
        """End the pause: let the next caller probe the server."""
        self._next_probe_at = 0.0

    def _begin_probe(self) -> None:
        with self._mutex:
            now = self._clock()
            if now >= max(self._next_probe_at, self._probe_ends_at):
                self._probe_ends_at = now + _LONGEST_PROBE_SECONDS
                return
        raise StoreUnavailable(
            f"no call to {self._name}: it has failed {self._failures} times in a row, and the next "
            f"probe is within {PROBE_SECONDS:g} s"
        )

    def _on_failure(self, exc: StoreUnavailable) -> None:
        with self._mutex:
            self._failures += 1
            self._next_probe_at = self._clock() + PROBE_SECONDS
            if self._opened_at is not None or self._failures < FAILURES_TO_OPEN:
                return
            self._opened_at = self._clock()
        log.warning(
            "store unavailable, calls fail at once until it is back: failures=%d error=%s",
            *(FAILURES_TO_OPEN, exc),
        )

    def _on_success(self) -> None:
        with self._mutex:
            opened_at, self._opened_at, self._failures = self._opened_at, None, 0
        if opened_at is not None:
            seconds = self._clock() - opened_at
            log.warning("store available again: store=%s seconds=%.1f", self._name, seconds)
