"""Any sequence of pushes, steps, faults and waits, as hypothesis thinks of them."""

from __future__ import annotations

import os
from collections import deque
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from faktory_unique import RetryLater
from tests.simulation.faults import AWAY, Fault
from tests.simulation.process import Killed
from tests.simulation.scenario import POLICY
from tests.simulation.world import World

PRODUCERS = ["producer", "other-producer"]
WORKERS = ["worker", "other-worker"]

ENDS = {
    "well": lambda _process: None,
    "an error": lambda _process: _raise(ValueError("no")),
    "later": lambda _process: _raise(RetryLater(5)),
    "at once": lambda _process: _raise(RetryLater(0)),
    "late": lambda process: process.sleep(65),
    "too late": lambda process: process.sleep(130),
}


def _raise(exc):
    raise exc


class Sequences(RuleBasedStateMachine):
    """Two producers and two workers, each let go on a step at a time."""

    def __init__(self, **policy):
        super().__init__()
        self.world = World({**POLICY, **policy}, self._handle)
        self.world.schedule.stepwise = True
        self.finishing = False
        self.orders = {name: deque() for name in PRODUCERS + WORKERS}
        self.ends = {name: deque() for name in WORKERS}
        for name in self.orders:
            self.world.process(name, self._obey)

    @rule(
        name=st.sampled_from(PRODUCERS),
        again=st.booleans(),
        retry=st.sampled_from([0, 1, 3]),
        wait=st.sampled_from([0, 0, 30]),
    )
    def push(self, name, again, retry, wait):
        """A job, new or one that was pushed already; perhaps for later."""

        def do(process):
            jobs = process.jobs if again and process.jobs else [process.job(retry=retry)]
            if wait and not again:
                now = datetime.fromtimestamp(self.world.clock(), UTC)
                jobs[-1].at = (now + timedelta(seconds=wait)).isoformat()
            process.jobs = jobs
            process.push(jobs[-1])

        self.orders[name].append(do)

    @rule(name=st.sampled_from(WORKERS), end=st.sampled_from(sorted(ENDS)))
    def work(self, name, end):
        """Fetch a job, and have its handler end in some way."""
        self.ends[name].append(end)
        self.orders[name].append(lambda process: process.work_one())

    @rule(name=st.sampled_from(PRODUCERS + WORKERS), steps=st.integers(1, 5))
    def go_on(self, name, steps):
        """Some steps of one process."""
        for _ in range(steps):
            self.world.schedule.go_on(self._process(name).task)

    @rule(
        name=st.sampled_from(PRODUCERS + WORKERS),
        fault=st.sampled_from([f for f in Fault if f not in {Fault.REFUSED, Fault.FALSE_ERROR}]),
    )
    def strike(self, name, fault):
        """A fault at the next step of one process."""
        self._process(name).next_fault = fault

    @rule(name=st.sampled_from(PRODUCERS + WORKERS))
    def kill(self, name):
        """One process, wherever it stands."""
        process = self._process(name)
        self.world.truth.struck.add(process, Fault.CRASH_BEFORE)
        process.dead = True
        self.world.schedule.go_on(process.task)

    @rule(seconds=st.sampled_from([1, 5, AWAY, 61, 100]))
    def advance(self, seconds):
        """Time passes; who is amid something stands still meanwhile."""
        for process in self.world.processes:
            if not process.task.done and process.task.is_busy:
                self.world.truth.struck.add(process, Fault.STOP_BEFORE)
        self.world.advance(seconds)

    @invariant()
    def nothing_is_broken(self):
        assert self.world.truth.broken == []

    def teardown(self):
        """All is well again, and runs until nothing is left to do."""
        self.finishing = True
        self.world.schedule.stepwise = False
        for ends in self.ends.values():
            ends.clear()
        assert self.world.run() == []

    def _process(self, name):
        """The one that bears the name now."""
        return [p for p in self.world.processes if p.name.split("-again")[0] == name][-1]

    def _obey(self, process):
        """The script of all: what the rules have ordered, one after the other."""
        orders = self.orders[process.name.split("-again")[0]]
        while not self.finishing and not self.world.is_over:
            process.task.wait(lambda: orders or self.finishing or process.dead, is_busy=False)
            if process.dead:
                raise Killed
            if orders:
                orders.popleft()(process)
        if process.name.split("-again")[0] in WORKERS:
            process.work()

    def _handle(self, process, _attempt):
        ends = self.ends[process.name.split("-again")[0]]
        ENDS[ends.popleft() if ends else "well"](process)


class SequencesUntilStart(Sequences):
    def __init__(self):
        super().__init__(until="start")


class SequencesThatKeepTheDead(Sequences):
    def __init__(self):
        super().__init__(on_death="keep")


class SequencesThatReplace(Sequences):
    def __init__(self):
        super().__init__(on_conflict="replace")


class SequencesOneAtATime(Sequences):
    def __init__(self):
        super().__init__(until="start", exclusive=True)


# More of them where somebody has the time: `SIMULATION_EXAMPLES=5000`.
_LIKE_THIS = settings(
    max_examples=int(os.environ.get("SIMULATION_EXAMPLES", "40")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TestSequences = Sequences.TestCase
TestSequences.settings = _LIKE_THIS
TestSequencesUntilStart = SequencesUntilStart.TestCase
TestSequencesUntilStart.settings = _LIKE_THIS
TestSequencesThatKeepTheDead = SequencesThatKeepTheDead.TestCase
TestSequencesThatKeepTheDead.settings = _LIKE_THIS
TestSequencesThatReplace = SequencesThatReplace.TestCase
TestSequencesThatReplace.settings = _LIKE_THIS
TestSequencesOneAtATime = SequencesOneAtATime.TestCase
TestSequencesOneAtATime.settings = _LIKE_THIS
