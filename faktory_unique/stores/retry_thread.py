"""`RetryThread`: calls a function again and again until it succeeds, with backoff and jitter."""

from __future__ import annotations

import random
from contextlib import suppress
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_THREAD_NAME = "faktory-unique-deferred"

# Seconds between two attempts: each pause is twice the one before. A pause is shortened by up to a
# half, at random, so that the processes of a fleet do not return to a store all at once.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class RetryThread:
    """A daemon thread that exists while there is something to retry.

    Args:
        attempt: does the work that can be done now.
        is_done: returns whether nothing is left to do. It is called with the mutex.
        mutex: held while the thread decides to end, so that no work is added meanwhile.
    """

    def __init__(
        self, attempt: Callable[[], object], is_done: Callable[[], bool], mutex: RLock
    ) -> None:
        self._attempt = attempt
        self._is_done = is_done
        self._mutex = mutex
        self._wake = Event()
        self._thread: Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether the thread exists."""
        return self._thread is not None

    def ensure(self) -> None:
        """Start the thread, unless it runs already. Call it with the mutex."""
        if self._thread is None:
            thread = Thread(target=self._run, name=_THREAD_NAME, daemon=True)
            with suppress(RuntimeError):  # no thread available: the next call tries again
                thread.start()
                self._thread = thread

    def wake(self) -> None:
        """End the present pause."""
        self._wake.set()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while True:
                self._wake.wait(pause * random.uniform(0.5, 1))  # noqa: S311  # no secret
                self._wake.clear()
                self._attempt()
                pause = min(pause * 2, _LONGEST_PAUSE)
                with self._mutex:
                    if self._is_done():
                        self._thread = None
                        return
        except BaseException:  # such as a hook's: `ensure` starts another thread
            with self._mutex:
                self._thread = None
            raise
