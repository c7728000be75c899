"""One run of a scenario: a Faktory, a store, a clock, processes, and the faults to inject."""

from __future__ import annotations

from faktory_unique.testing import Clock, FakeFaktory
from tests.simulation.checker import Checker
from tests.simulation.faults import LATE_SECONDS, Fault
from tests.simulation.lock_checker import Store
from tests.simulation.process import Outage, Process
from tests.simulation.schedule import PROMOTION_SECONDS, Schedule

# A reservation expires after 60 s, noticed within 15 s; a retry waits for some minutes.
MAX_SECONDS = 6 * 3_600

# Seconds that a service manager takes to restart a process.
RESTART_SECONDS = 1.0


class World:
    """One run of a scenario.

    Args:
        policy: the policy of all jobs, as a dict.
        handler: the handler of all jobs, given the process and the number of the attempt.
        faults: the fault at each step, by the step's number.
        switches: numbers of the steps at which another process runs first.
        may_lapse: whether locks lapse because of what the scenario does.
        middleware: a function that returns the middleware outside of `Unique`, given the process.
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
        self.checker = Checker(self)
        self.store.checker = self.checker.locks
        self.schedule = Schedule(self.clock, self.advance, switches)
        self.faktory_outage = Outage(self.clock)
        self.store_outage = Outage(self.clock)
        self.is_over = False
        self.steps = []
        self.processes = []
        self._faults = dict(faults)
        self._restarts = {}

    @property
    def longest_ttl(self):
        """Return the longest TTL in seconds that any rule of docs/design.md §5 can set."""
        # A reservation, the longest wait for the third retry, and the wait in the queue;
        # or the longest delay of a scenario.
        return max(self.policy["lease"], 60 + 30 + 16 + 15 + 29 * 3 + 10 + 60, 610 + 60)

    def advance(self, seconds):
        """Let time pass. Jobs become due and locks lapse at their exact times."""
        end = self.clock() + seconds
        while (now := self.clock()) < end:
            next_promotion = now + PROMOTION_SECONDS - now % PROMOTION_SECONDS
            self.faktory.advance(min([end, next_promotion, *self.store.expiries(now)]) - now)
            self.store.values()

    def process(self, name, script=None, again=None):
        """Start a process.

        Args:
            name: the name of the process, part of its host name.
            script: a function that the process runs; None: it works jobs.
            again: the script of the process that is started when this one is killed. By default it
                is `script` again.
        """
        process = Process(self, name, self.policy, script)
        self.processes.append(process)
        self._restarts[process] = again or script
        return process

    def restart(self, process):
        """Start another process instead of a process that was killed."""
        if self.is_over:
            return
        script = self._restarts[process]

        def start_again(new):
            new.stop_for(RESTART_SECONDS)
            if script is None:
                new.work()
            else:
                script(new)

        self.process(f"{process.name}-again", start_again, again=script)

    def run_later(self, process, act):
        """Carry out a command later, as sent by the process in its present state."""
        actor = self.checker.snapshot(process)
        task = None

        def work():
            self.schedule.sleep(task, LATE_SECONDS)
            with self.checker.acting(actor):
                act()

        task = self.schedule.start(work)

    def has_jobs(self):
        """Return whether FETCH would return a job now."""
        return any(len(queue) for _, queue in self.faktory._core.manager.queues)

    def label_step(self, process, label):
        """Label the latest step of a process."""
        self.steps.append((process.number, f"{label} of {process}"))

    def fault_at(self, number, process):
        """Return the fault to inject at a step, or None."""
        process.number = number
        fault = self._faults.get(number, process.next_fault)
        if fault is not None:
            self.checker.fault_log.add(None if fault is Fault.DOWN else process, fault)
        return fault

    def run(self):
        """Run until nothing is left to do. Return the broken promises."""
        self.schedule.run(self._has_ended, MAX_SECONDS)
        self.is_over = True
        self.schedule.run(lambda: not self.schedule.tasks, MAX_SECONDS)
        try:
            return self.checker.final_breaches(self.store.values())
        finally:
            self.faktory.close()

    def _has_ended(self):
        manager = self.faktory._core.manager
        waiting = [task for task in self.schedule.tasks if task.is_busy]
        timed = (manager.scheduled, manager.retries, manager.working)
        return not waiting and not self.has_jobs() and not any(map(len, timed))
