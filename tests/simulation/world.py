"""A world: a Faktory, a store, one clock, processes, and the faults that are to strike."""

from __future__ import annotations

from faktory_unique.testing import Clock, FakeFaktory
from tests.simulation.checker import Truth
from tests.simulation.faults import LATE_BY, Fault
from tests.simulation.lock_checker import Store
from tests.simulation.process import Away, Process
from tests.simulation.schedule import TICK, Schedule

# A reservation expires after 60 s and is noticed within 15; a retry waits for some minutes.
MOST_SECONDS = 6 * 3_600

# What a service manager takes to start a process again.
RESTART = 1.0


class World:
    """One run of a scenario.

    Args:
        policy: of all jobs.
        handler: what the work is, given the process and the payload.
        faults: what strikes at which step, by its number.
        switches: steps at which another process goes on first.
        may_lapse: whether the scenario has locks run out by itself.
        middleware: makes what stands outside of `Unique` in a worker, given its process.
    """

    def __init__(
        self,
        policy,
        handler,
        faults=(),
        switches=(),
        *,
        may_lapse=False,
        middleware=lambda _process: (),
    ):
        self.policy = policy
        self.handler = handler
        self.may_lapse = may_lapse
        self.middleware = middleware
        self.clock = Clock(1_800_000_000)
        self.faktory = FakeFaktory(self.clock, seed=1)
        self.store = Store(self.clock)
        self.truth = Truth(self)
        self.store.truth = self.truth.locks
        self.schedule = Schedule(self.clock, self.advance, switches)
        self.faktory_away = Away(self.clock)
        self.store_away = Away(self.clock)
        self.is_over = False
        self.steps = []
        self.processes = []
        self._faults = dict(faults)
        self._restarts = {}

    @property
    def longest_ttl(self):
        """Seconds that no lock may live longer, by any rule of docs/design.md §5."""
        # A reservation, the wait for the third retry at the most, and the wait in the queue; or
        # the longest delay of a scenario.
        return max(self.policy["lease"], 60 + 30 + 16 + 15 + 29 * 3 + 10 + 60, 610 + 60)

    def advance(self, seconds):
        """Lets time pass; jobs fall due and locks run out at their time, though nobody asks."""
        end = self.clock() + seconds
        while (now := self.clock()) < end:
            next_tick = now + TICK - now % TICK
            self.faktory.advance(min([end, next_tick, *self.store.expiries(now)]) - now)
            self.store.values()

    def process(self, name, script=None, again=None):
        """Starts a process.

        Args:
            name: of its own, as a host name.
            script: what it does; None: it works jobs.
            again: what the process does that takes its place when it is killed; by default a
                worker works, and a producer does the same once more.
        """
        process = Process(self, name, self.policy, script)
        self.processes.append(process)
        self._restarts[process] = again or script
        return process

    def killed(self, process):
        """Another takes the place of a process that was killed."""
        if self.is_over:
            return
        script = self._restarts[process]

        def restart(new):
            new.stand_still(RESTART)
            if script is None:
                new.work()
            else:
                script(new)

        self.process(f"{process.name}-again", restart, again=script)

    def later(self, process, do):
        """What a process has sent is done some seconds later, for what it is now."""
        actor = self.truth.as_of_now(process)
        task = None

        def work():
            self.schedule.sleep(task, LATE_BY)
            with self.truth.acting(actor):
                do()

        task = self.schedule.start(work)

    def has_jobs(self):
        """Whether a worker would be given a job now."""
        return any(len(queue) for _, queue in self.faktory._core.manager.queues)

    def name_step(self, process, label):
        """Notes what the latest step of a process is."""
        self.steps.append((process.number, f"{label} of {process}"))

    def fault_at(self, number, process):
        """The fault that is to strike at a step, if any."""
        process.number = number
        fault = self._faults.get(number, process.next_fault)
        if fault is not None:
            self.truth.struck.add(None if fault is Fault.DOWN else process, fault)
        return fault

    def run(self):
        """Runs until nothing is left to do; the breaches of promises."""
        self.schedule.run(self._has_ended, MOST_SECONDS)
        self.is_over = True
        self.schedule.run(lambda: not self.schedule.tasks, MOST_SECONDS)
        try:
            return self.truth.breaches(self.store.values())
        finally:
            self.faktory.close()

    def _has_ended(self):
        manager = self.faktory._core.manager
        waiting = [task for task in self.schedule.tasks if task.is_busy]
        timed = (manager.scheduled, manager.retries, manager.working)
        return not waiting and not self.has_jobs() and not any(map(len, timed))
