"""Checks of every promise against the real state of server and store.

The checkers watch the internals of server and store, and record each breach of a promise of
docs/design.md §1 when it happens. `final_breaches` adds those that show at the end only.
"""

from __future__ import annotations

from contextlib import contextmanager

from faktory_unique import EventName
from tests.simulation.fault_log import FaultLog
from tests.simulation.job_checker import JobChecker
from tests.simulation.lock_checker import LockChecker
from tests.simulation.result_checker import ResultChecker
from tests.simulation.work import LateSender

# Each of these events reports a lapse.
_LAPSE_EVENTS = {
    EventName.LAPSED,
    EventName.REACQUIRED,
    EventName.PUSH_UNKNOWN,
    EventName.UNGUARDED,
    EventName.STORE_ERROR,
}


class Checker:
    """All checks of one world.

    Attributes:
        jobs: checks of the jobs on the server.
        results: checks of the results of pushes.
        locks: checks of the locks in the store.
        works: each `Work`, by owner.
        fault_log: the faults that happened so far.
        unguarded_owners: owners of jobs that were pushed without a lock.
        actor: the process that causes what happens now; None if time does.
        breaches: each breach so far: its name, and what happened.
    """

    def __init__(self, world):
        self.now = world.clock
        self.works = {}
        self.fault_log = FaultLog()
        self.unguarded_owners = set()
        self.actor = None
        self.breaches = []
        self.results = ResultChecker(self)
        self.jobs = JobChecker(self, world.faktory._core.manager)
        self.locks = LockChecker(self, world.policy, world.longest_ttl, world.may_lapse)
        self._reported_owners = set()

    @contextmanager
    def acting(self, process):
        """Attribute all that happens within to this process."""
        before, self.actor = self.actor, process
        try:
            yield
        finally:
            self.actor = before

    def snapshot(self, process):
        """Return the process in its present state, to act later."""
        owners = self.locks.changeable_owners(process)
        return LateSender(
            process.name, process.current_job, owners, self.jobs.superseded.next_sequence()
        )

    def on_event(self, event):
        """Handle an event of a hook."""
        if event.name in _LAPSE_EVENTS:
            self._reported_owners.add(event.owner)
        if event.name is EventName.UNGUARDED:
            self.unguarded_owners.add(event.owner)

    def may_have_two_copies(self, work):
        """Return whether two copies may be live, because of a fault when it was pushed again."""
        return work.accepted > 1 and self.fault_log.hit_any(work.processes_involved)

    def add_breach(self, name, detail):
        """Record that a promise was broken."""
        self.breaches.append((name, detail))

    def final_breaches(self, locks):
        """Return all breaches at the end of a run.

        Args:
            locks: the value of each lock that remains, by key.
        """
        for jid in self.jobs.unended_jids():
            self.add_breach("lost", f"{jid} was accepted, and is gone")
        for jid in self.jobs.superseded.lost_jids():
            self.add_breach("lost", f"{jid} was superseded, and no newer job ran")
        for work in self.jobs.unfinished_works():
            self.add_breach("lost", f"{work.owner} was started, and never done")
        for work in self.works.values():
            # The process that reacquired it may have been killed before it could report that.
            killed = work.reacquired_by is not None and self.fault_log.any_killed(
                [work.reacquired_by.name]
            )
            if (
                work.lapse_must_be_reported
                and not killed
                and work.owner not in self._reported_owners
            ):
                self.add_breach("unreported", f"no event says that the lock of {work.owner} lapsed")
        for key, value in locks.items():
            if not self.locks.may_remain(key, value):
                self.add_breach("orphan", f"{key}: {value} remains, and nothing should keep it")
        return self.breaches
