"""`Core`: the fake's clock, mutex, password and counters; tasks that promote, retry and expire.

The server runs its tasks by a ticker, in whole seconds that their periods divide
(server/task_runner.go:94-121). Here nothing ticks: the next caller after such a second catches up,
and the tasks see the second at which they would have run.
"""

from __future__ import annotations

import random
import threading
from math import ceil
from typing import TYPE_CHECKING

from .go_time import SECOND
from .manager import Manager
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.testing.clock import Clock

    from .workers import Connection

# Nanoseconds between two calls of `Core.now`, at least, even if the clock stands still: the working
# set is keyed by time. A float64 of seconds can still distinguish microseconds.
_MIN_STEP = 1_000


class Core:
    """The shared state. Hold `mutex` during everything that does not acquire it itself.

    Args:
        clock: the clock of the fake.
        password: the password that clients need; empty: none.
        seed: the seed of the random part of backoffs; None: a random seed.

    Attributes:
        enqueued: notified when a job may have been enqueued.
        started: seconds since the epoch.
        last_task_second: the last second, since the epoch, for which tasks were considered.
        tasks: the period in seconds and the function of each task. The function returns a count.
        task_counts: the sum of these counts.
    """

    def __init__(self, clock: Clock, password: str, seed: int | None) -> None:
        self.clock = clock
        self.password = password
        self.mutex = threading.RLock()
        self.enqueued = threading.Condition(self.mutex)
        self.random = random.Random(seed)  # noqa: S311  # backoffs, no secrets
        self.manager = Manager(self.now, self.random.randrange)
        self.workers = Workers()
        self.connections: set[Connection] = set()
        self.closed = False
        self.command_count = 0
        self.started = clock()
        self._last_now = 0
        self._task_time: int | None = None
        self.last_task_second = int(self.started)
        manager = self.manager
        # In the order in which the server adds them (server/task_runner.go:117-130).
        self.tasks: dict[str, tuple[int, Callable[[], int]]] = {
            "Scheduled": (5, lambda: manager.enqueue_due(manager.scheduled)),
            "Retries": (5, lambda: manager.enqueue_due(manager.retries)),
            "Dead": (60, manager.purge_dead),
            "Busy": (15, manager.reap_expired),
            "Workers": (15, self._reap_workers),
        }
        self.task_counts = dict.fromkeys(self.tasks, 0)

    def add_connection(self, wid: str, connection: Connection) -> int:
        """Add a connection after HELLO, also to its worker. Return the number of connections."""
        with self.mutex:
            if wid:
                self.workers.add_connection(wid, connection, self.clock())
            self.connections.add(connection)
            return len(self.connections)

    def remove_connection(self, wid: str, connection: Connection) -> None:
        """Remove a connection that has ended."""
        with self.mutex:
            self.connections.discard(connection)
            self.workers.remove_connection(wid, connection)

    def count_command(self) -> None:
        """Count a command for INFO."""
        with self.mutex:
            self.command_count += 1

    def close(self) -> None:
        """Refuse all commands from now on."""
        self.closed = True

    def advance(self, seconds: float) -> None:
        """Advance the clock and catch up. Connected workers count as seen during that time."""
        with self.mutex:
            self.catch_up()
            self.clock.advance(seconds)
            self.workers.mark_all_seen(self.clock())
            self.catch_up()

    def catch_up(self) -> None:
        """Run the tasks that have become due since the last call."""
        with self.mutex:
            now = self.clock()
            while (second := self._next_task(int(now))) is not None:
                self.last_task_second = second
                self._task_time = second * SECOND
                try:
                    for name, (period, task) in self.tasks.items():
                        if second % period == 0:
                            self.task_counts[name] += task()
                finally:
                    self._task_time = None
                self.enqueued.notify_all()
            self.last_task_second = max(self.last_task_second, int(now))

    def _next_task(self, now: int) -> int | None:
        """Return the next second, not after now, at which a task has something to do; else None."""
        manager = self.manager
        due: dict[str, float | None] = {
            "Scheduled": manager.scheduled.first(),
            "Retries": manager.retries.first(),
            "Dead": manager.dead.first(),
            "Busy": manager.working.first(),
            "Workers": self.workers.first_silent_at(),
        }
        seconds = []
        for name, at in due.items():
            if at is not None:
                period = self.tasks[name][0]
                seconds.append(max(ceil(at), self.last_task_second + 1) + period - 1)
                seconds[-1] -= seconds[-1] % period
        first = min(seconds, default=now + 1)
        return first if first <= now else None

    def _reap_workers(self) -> int:
        """Remove the silent workers and close their connections. Return the number of these."""
        silent = self.workers.remove_silent(self.now() / SECOND)
        for connection in silent:
            connection.close()
        return len(silent)

    def now(self) -> int:
        """Return nanoseconds since the epoch, later at each call; in a task, its due second."""
        now = int(self.clock() * SECOND) if self._task_time is None else self._task_time
        self._last_now = max(now, self._last_now + _MIN_STEP)
        return self._last_now
