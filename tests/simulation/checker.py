"""What is so, whoever believes what, and which promise was broken.

Watches the server's and the store's own innards, and writes down each breach of a promise of
docs/design.md §1 as it happens; `breaches` at the end adds what shows only then.
"""

from __future__ import annotations

from contextlib import contextmanager

from faktory_unique import EventName
from tests.simulation.fault_log import Struck
from tests.simulation.job_checker import JobTruth
from tests.simulation.lock_checker import LockTruth
from tests.simulation.result_checker import ResultTruth
from tests.simulation.work import Sent

# By any of these a lapse has been reported.
_REPORTS = {
    EventName.LAPSED,
    EventName.REACQUIRED,
    EventName.PUSH_UNKNOWN,
    EventName.UNGUARDED,
    EventName.STORE_ERROR,
}


class Truth:
    """The truth of one world.

    Attributes:
        jobs: of those on the server.
        results: of what pushes told.
        locks: of those in the store.
        works: what the jobs and locks are of, by owner.
        struck: the faults so far.
        unguarded: owners of jobs that went out without a lock.
        actor: the process that does what happens now; None: time does.
        broken: each breach of a promise so far: a name, and what happened.
    """

    def __init__(self, world):
        self.now = world.clock
        self.works = {}
        self.struck = Struck()
        self.unguarded = set()
        self.actor = None
        self.broken = []
        self.results = ResultTruth(self)
        self.jobs = JobTruth(self, world.faktory._core.manager)
        self.locks = LockTruth(self, world.policy, world.longest_ttl, world.may_lapse)
        self._reported = set()

    @contextmanager
    def acting(self, process):
        """What happens within is this process's doing."""
        before, self.actor = self.actor, process
        try:
            yield
        finally:
            self.actor = before

    def as_of_now(self, process):
        """A process as it is now, to act later."""
        owners = self.locks.may_change(process)
        return Sent(process.name, process.works_on, owners, self.jobs.asides.moment())

    def event(self, event):
        """An event was given to a hook."""
        if event.name in _REPORTS:
            self._reported.add(event.owner)
        if event.name is EventName.UNGUARDED:
            self.unguarded.add(event.owner)

    def may_be_twice(self, work):
        """Whether two of its copies may live at once: something struck as it was pushed again."""
        return work.accepted > 1 and self.struck.any_of(work.touched)

    def broke(self, name, told):
        """A promise is broken."""
        self.broken.append((name, told))

    def breaches(self, locks):
        """Each breach of a promise, at the end, when these are all locks: key → value."""
        for jid in self.jobs.gone():
            self.broke("lost", f"{jid} was accepted, and is gone")
        for jid in self.jobs.asides.unheard():
            self.broke("lost", f"{jid} stepped aside, and nothing ran in its place")
        for work in self.jobs.undone():
            self.broke("lost", f"{work.owner} was begun, and never done")
        for work in self.works.values():
            # Who has taken it anew may have been killed before he could tell.
            killed = work.taken_anew is not None and self.struck.killed([work.taken_anew.name])
            if work.must_be_told and not killed and work.owner not in self._reported:
                self.broke("unreported", f"nobody told that the lock of {work.owner} had run out")
        for key, value in locks.items():
            if not self.locks.may_be_left(key, value):
                self.broke("orphan", f"{key}: {value} stands, and nothing was to keep it")
        return self.broken
