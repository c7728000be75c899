"""The fake's inside: the manager under a lock, the clock, and the tasks that time brings.

The server runs its tasks off a ticker, in whole seconds that their periods divide
(server/task_runner.go:94-121). Here nothing ticks: whoever comes first after such a second catches
up, and the tasks see the second at which they would have run.
"""

from __future__ import annotations

import random
import threading
from math import ceil
from typing import TYPE_CHECKING

from .manager import SECOND, Manager
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.testing.clock import Clock

    from .session import Session

# No two moments of a server are the same, even where a clock stands still: its working set is
# keyed by them. A microsecond is a step that a float64 of seconds can still tell.
_STEP = 1_000


class Core:
    """What all connections of one fake share. Hold `lock` for whatever is not said to take it.

    Args:
        clock: seconds since the epoch.
        password: what clients must know; empty: nothing.
        seed: of the random part of backoffs.
    """

    def __init__(self, clock: Clock, password: str, seed: int | None) -> None:
        self.clock = clock
        self.password = password
        self.lock = threading.RLock()
        self.enqueued = threading.Condition(self.lock)
        self.random = random.Random(seed)  # noqa: S311  # backoffs, no secrets
        self.manager = Manager(self.now, self.random.randrange)
        self.workers = Workers()
        self.sessions: set[Session] = set()
        self.closed = False
        self.commands = 0
        self.started = clock()
        self._moment = 0
        self._task_time: int | None = None
        self.ticked = int(self.started)
        manager = self.manager
        # In the order in which the server adds them (server/task_runner.go:117-130).
        self.tasks: dict[str, tuple[int, Callable[[], int]]] = {
            "Scheduled": (5, lambda: manager.enqueue_due(manager.scheduled)),
            "Retries": (5, lambda: manager.enqueue_due(manager.retries)),
            "Dead": (60, manager.purge_dead),
            "Busy": (15, manager.reap_expired),
            "Workers": (15, self._reap_workers),
        }
        self.done = dict.fromkeys(self.tasks, 0)

    def advance(self, seconds: float) -> None:
        """Moves the clock and catches up. Workers that are there have been heard meanwhile."""
        with self.lock:
            self.catch_up()
            self.clock.advance(seconds)
            self.workers.heard_all(self.clock())
            self.catch_up()

    def catch_up(self) -> None:
        """Runs the tasks whose seconds have come since somebody last did this."""
        with self.lock:
            now = self.clock()
            while (second := self._next_task(int(now))) is not None:
                self.ticked = second
                self._task_time = second * SECOND
                try:
                    for name, (every, task) in self.tasks.items():
                        if second % every == 0:
                            self.done[name] += task()
                finally:
                    self._task_time = None
                self.enqueued.notify_all()
            self.ticked = max(self.ticked, int(now))

    def _next_task(self, now: int) -> int | None:
        """The next second, not after now, at which a task has something to do."""
        manager = self.manager
        due: dict[str, float | None] = {
            "Scheduled": manager.scheduled.first(),
            "Retries": manager.retries.first(),
            "Dead": manager.dead.first(),
            "Busy": manager.working.first(),
            "Workers": self.workers.first_silent(),
        }
        seconds = []
        for name, at in due.items():
            if at is not None:
                every = self.tasks[name][0]
                seconds.append(max(ceil(at), self.ticked + 1) + every - 1)
                seconds[-1] -= seconds[-1] % every
        first = min(seconds, default=now + 1)
        return first if first <= now else None

    def _reap_workers(self) -> int:
        silent = self.workers.reap(self.now() / SECOND)
        for session in silent:
            session.close()
        return len(silent)

    def now(self) -> int:
        """Nanoseconds since the epoch: the present, or the second whose tasks are being run."""
        now = int(self.clock() * SECOND) if self._task_time is None else self._task_time
        self._moment = max(now, self._moment + _STEP)
        return self._moment
