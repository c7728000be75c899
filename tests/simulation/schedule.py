"""Tasks of which one runs at a time, and time that passes when none can."""

from __future__ import annotations

import threading
from itertools import count

# The server looks for what is due every 5 s.
TICK = 5


class NeverOverError(AssertionError):
    """Something goes on for ever."""


class Task:
    """A thread that runs while it has the baton.

    Args:
        schedule: gives the baton.
        work: what it does.
    """

    def __init__(self, schedule, work):
        self._schedule = schedule
        self._work = work
        self._go = threading.Lock()
        self._go.acquire()
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
        """Whether it could go on now."""
        return not self.done and (self._is_ready is None or self._is_ready())

    def wait(self, is_ready=None, *, is_busy=True):
        """Called by the task itself: hands the baton back until it is ready, and its turn.

        One that is not busy keeps nobody from its end: it waits for what others may do.
        """
        self._is_ready, self.is_busy = is_ready, is_busy
        self._schedule.back.release()
        self._go.acquire()
        self._is_ready, self.is_busy = None, True

    def go_on(self):
        """Called by the schedule: gives it the baton, until it waits or is done."""
        self._go.release()
        self._schedule.back.acquire()
        if self.error is not None:
            raise self.error

    def _run(self):
        self._go.acquire()
        try:
            self._work()
        except BaseException as exc:  # noqa: BLE001  # raised where the schedule runs
            self.error = exc
        finally:
            self.done = True
            self._schedule.back.release()


class Schedule:
    """Who goes on: whoever was going on, until it sleeps, is done, or is to let another pass.

    Args:
        clock: the time now.
        advance: lets so many seconds pass.
        switches: numbers of the steps at which another task goes on first.

    Attributes:
        stepwise: whether each step waits to be let go on.
    """

    def __init__(self, clock, advance, switches=()):
        self._clock = clock
        self._advance = advance
        self._switches = frozenset(switches)
        self._steps = count()
        self._yielding = None
        self._wakes = []
        self.stepwise = False
        self.back = threading.Lock()
        self.back.acquire()
        self.tasks = []

    def start(self, work):
        """A task that goes on with the next `run`."""
        task = Task(self, work)
        self.tasks.append(task)
        return task

    def step(self, task):
        """Called by a task that is about to do something; the number of this step."""
        number = next(self._steps)
        if number in self._switches:
            self._yielding = task
        if self.stepwise or number in self._switches:
            task.wait()
        return number

    def go_on(self, task):
        """Lets a task go on, if it can."""
        if task.ready:
            task.go_on()
            if task.done:
                self.tasks.remove(task)

    def sleep(self, task, seconds):
        """Called by a task: others go on, and time passes."""
        until = self._clock() + seconds
        self._wakes.append(until)
        task.wait(lambda: self._clock() >= until)

    def run(self, is_over, most_seconds):
        """Lets tasks go on until nothing can and it is over.

        Raises:
            NeverOverError: it is not over after so many seconds.
        """
        deadline = self._clock() + most_seconds
        while True:
            ready = [task for task in self.tasks if task.ready]
            if ready:
                others = [task for task in ready if task is not self._yielding]
                self._yielding = None
                self.go_on((others or ready)[0])
            elif is_over():
                return
            else:
                now = self._clock()
                if now >= deadline:
                    raise NeverOverError(f"not over after {most_seconds} s")
                self._wakes = [wake for wake in self._wakes if wake > now]
                self._advance(min([TICK - now % TICK, *(wake - now for wake in self._wakes)]))
