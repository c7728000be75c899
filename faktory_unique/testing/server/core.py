"""The state that all connections of a fake share, its clock, and the tasks that run as time passes.

The server runs its tasks off a ticker, in whole seconds that their periods divide
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

# No two moments of a server are the same, even if a clock stands still: its working set is keyed by
# them. A float64 of seconds can still distinguish microseconds.
_STEP = 1_000


class Core:
    """The shared state. Hold `lock` for all that does not take it itself.

    Args:
        clock: returns seconds since the epoch.
        password: the password of clients; empty: none is needed.
        seed: seed of the random part of backoffs.
    """

    def __init__(self, clock: Clock, password: str, seed: int | None) -> None:
        self.clock = clock
        self.password = password
        self.lock = threading.RLock()
        self.enqueued = threading.Condition(self.lock)
        self.random = random.Random(seed)  # noqa: S311  # backoffs, no secrets
        self.manager = Manager(self.now, self.random.randrange)
        self.workers = Workers()
        self.connections: set[Connection] = set()
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
        self.task_counts = dict.fromkeys(self.tasks, 0)

    def add_connection(self, wid: str, connection: Connection) -> int:
        """Count a connection after its HELLO, for its worker too. Return how many there are."""
        with self.lock:
            if wid:
                self.workers.add_connection(wid, connection, self.clock())
            self.connections.add(connection)
            return len(self.connections)

    def remove_connection(self, wid: str, connection: Connection) -> None:
        """Forget a connection that has ended."""
        with self.lock:
            self.connections.discard(connection)
            self.workers.remove_connection(wid, connection)

    def count_command(self) -> None:
        """Count a command for INFO."""
        with self.lock:
            self.commands += 1

    def close(self) -> None:
        """Refuse all commands from now on."""
        self.closed = True

    def advance(self, seconds: float) -> None:
        """Advance the clock and catch up. Connected workers count as seen during that time."""
        with self.lock:
            self.catch_up()
            self.clock.advance(seconds)
            self.workers.mark_all_seen(self.clock())
            self.catch_up()

    def catch_up(self) -> None:
        """Run the tasks that became due since the last call."""
        with self.lock:
            now = self.clock()
            while (second := self._next_task(int(now))) is not None:
                self.ticked = second
                self._task_time = second * SECOND
                try:
                    for name, (every, task) in self.tasks.items():
                        if second % every == 0:
                            self.task_counts[name] += task()
                finally:
                    self._task_time = None
                self.enqueued.notify_all()
            self.ticked = max(self.ticked, int(now))

    def _next_task(self, now: int) -> int | None:
        """Return the next second, not after now, at which a task has something to do."""
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
                every = self.tasks[name][0]
                seconds.append(max(ceil(at), self.ticked + 1) + every - 1)
                seconds[-1] -= seconds[-1] % every
        first = min(seconds, default=now + 1)
        return first if first <= now else None

    def _reap_workers(self) -> int:
        silent = self.workers.remove_silent(self.now() / SECOND)
        for connection in silent:
            connection.close()
        return len(silent)

    def now(self) -> int:
        """Return the time in nanoseconds since the epoch; during tasks, the second they run at."""
        now = int(self.clock() * SECOND) if self._task_time is None else self._task_time
        self._moment = max(now, self._moment + _STEP)
        return self._moment
