"""A scheduler that runs one task at a time, and lets time pass when no task can run."""

from __future__ import annotations

import threading
from itertools import count

# Seconds between two promotions: the server looks for due jobs every 5 s.
PROMOTION_SECONDS = 5


class NeverEndsError(AssertionError):
    """A run did not end in time."""


class Task:
    """A thread that runs only during its turn.

    Args:
        schedule: the schedule that gives the turns.
        work: the function that the thread runs.
    """

    def __init__(self, schedule, work):
        self._schedule = schedule
        self._work = work
        self._turn = threading.Lock()
        self._turn.acquire()
        self._is_ready = None
        self.done = False
        self.is_busy = True
        self.error = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __repr__(self):
        return f"<Task of {self._work!r}>"

    @property
    def ready(self):
        """Return whether the task can run now."""
        return not self.done and (self._is_ready is None or self._is_ready())

    def wait(self, is_ready=None, *, is_busy=True):
        """Give up the turn until the task is ready and is chosen again. Called by the task itself.

        Args:
            is_ready: a function that says whether the task can run; None if it always can.
            is_busy: whether the run must go on for this task. A task that only waits for others is
                not busy.
        """
        self._is_ready, self.is_busy = is_ready, is_busy
        self._schedule.returned.release()
        self._turn.acquire()
        self._is_ready, self.is_busy = None, True

    def resume(self):
        """Give the task its turn, until it waits or is done. Called by the schedule."""
        self._turn.release()
        self._schedule.returned.acquire()
        if self.error is not None:
            raise self.error

    def _run(self):
        self._turn.acquire()
        try:
            self._work()
        except BaseException as exc:  # noqa: BLE001  # raised by `resume`
            self.error = exc
        finally:
            self.done = True
            self._schedule.returned.release()


class Schedule:
    """The order in which tasks run: one runs until it sleeps, is done, or must yield.

    Args:
        clock: a function that returns the time in seconds.
        advance: a function that lets a number of seconds pass.
        switches: numbers of the steps at which another task runs first.

    Attributes:
        stepwise: whether a task stops before each step until `resume` is called.
    """

    def __init__(self, clock, advance, switches=()):
        self._clock = clock
        self._advance = advance
        self._switches = frozenset(switches)
        self._steps = count()
        self._yielding = None
        self._wake_times = []
        self.stepwise = False
        self.returned = threading.Lock()
        self.returned.acquire()
        self.tasks = []

    def start(self, work):
        """Return a task that starts with the next `run`."""
        task = Task(self, work)
        self.tasks.append(task)
        return task

    def step(self, task):
        """Return the number of the step that a task is about to do. Called by the task."""
        number = next(self._steps)
        if number in self._switches:
            self._yielding = task
        if self.stepwise or number in self._switches:
            task.wait()
        return number

    def resume(self, task):
        """Let a task run, if it can."""
        if task.ready:
            task.resume()
            if task.done:
                self.tasks.remove(task)

    def sleep(self, task, seconds):
        """Let others run until `seconds` have passed. Called by a task."""
        until = self._clock() + seconds
        self._wake_times.append(until)
        task.wait(lambda: self._clock() >= until)

    def run(self, is_over, max_seconds):
        """Let tasks run until none can and `is_over` returns true.

        Raises:
            NeverEndsError: `max_seconds` have passed before.
        """
        deadline = self._clock() + max_seconds
        while True:
            ready = [task for task in self.tasks if task.ready]
            if ready:
                others = [task for task in ready if task is not self._yielding]
                self._yielding = None
                self.resume((others or ready)[0])
            elif is_over():
                return
            else:
                now = self._clock()
                if now >= deadline:
                    raise NeverEndsError(f"not over after {max_seconds} s")
                self._wake_times = [wake for wake in self._wake_times if wake > now]
                until_promotion = PROMOTION_SECONDS - now % PROMOTION_SECONDS
                waits = [until_promotion, *(wake - now for wake in self._wake_times)]
                self._advance(min(waits))
