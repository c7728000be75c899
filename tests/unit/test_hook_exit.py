"""A hook that raises SystemExit ends its push, and leaves no lock in a wrong state."""

from __future__ import annotations

import pytest

from faktory_unique import Policy, PushStatus, Unique
from tests.unit.push_helpers import Clock, FailingStore, Faktory, job


class Exit:
    """A hook that raises at the first event of a name."""

    def __init__(self, name):
        self._name = name
        self.raised = False

    def __call__(self, event):
        if event.name == self._name and not self.raised:
            self.raised = True
            raise SystemExit(3)


class Pushing:
    def __init__(self, event, store=None, **policy):
        self.clock = Clock()
        self.store = store or FailingStore()
        self.faktory = Faktory()
        self.unique = Unique(self.store, default=Policy(**policy), hooks=[Exit(event)])
        self.jobs = [job(jid=f"jid-0000000{n}", args=[n]) for n in range(3)]

    def push(self):
        return self.unique.push(self.jobs, self.faktory)

    def exit(self):
        with pytest.raises(SystemExit):
            self.push()

    def values(self):
        return sorted(lock.owner + "?" * lock.leased for lock in self.unique.locks())


JIDS = [f"jid-0000000{n}" for n in range(3)]


def test_exit_after_the_acquire_leaves_no_lease():
    """The jobs can be pushed again at once, not after the lease of 60 s."""
    pushing = Pushing("acquired")
    pushing.exit()
    assert pushing.values() == []
    assert pushing.faktory.jids == []
    assert [result.status for result in pushing.push()] == [PushStatus.PUSHED] * 3


def test_exit_at_a_duplicate_leaves_no_lease():
    pushing = Pushing("duplicate")
    pushing.unique.push([job(jid="jid-other-job", args=[0])], pushing.faktory)
    pushing.exit()
    assert pushing.values() == ["jid-other-job"]


@pytest.mark.parametrize("event", ["push_unknown", "confirmed"])
def test_exit_after_the_push_leaves_its_locks_held(event):
    """Nothing else would confirm them: they would lapse after the lease."""
    pushing = Pushing(event)
    pushing.faktory.errors = {JIDS[0]: PushStatus.UNKNOWN, JIDS[1]: PushStatus.REFUSED}
    pushing.exit()
    assert pushing.values() == [f"{JIDS[0]}?", JIDS[2]]


def test_exit_at_an_outage_defers_all_writes():
    """The store fails at the confirms, and at their first event the hook exits."""
    pushing = Pushing("store_error", FailingStore(fail_at={2}))
    pushing.exit()
    assert len(pushing.unique._context.deferred) == 3


def test_job_of_an_unknown_push_gets_a_new_jid_after_an_exit():
    """Its jid may be on the server: one jid sent twice destroys reservations."""
    pushing = Pushing("push_unknown")
    pushing.faktory.errors = dict.fromkeys(JIDS, PushStatus.UNKNOWN)
    pushing.exit()
    pushing.faktory.errors = {}
    pushing.push()
    assert len(set(pushing.faktory.jids)) == 6
