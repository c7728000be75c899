"""Races between two steps of a push, and writes that are deferred then."""

from __future__ import annotations

import pytest

from faktory_unique import Policy, PushStatus, StoreUnavailable, Unique
from faktory_unique.locks.lifecycle import confirm_transition, release_transition
from faktory_unique.stores.memory import MemoryStore
from tests.unit.push_helpers import Clock, Faktory, job, lock

POLICY = Policy(ttl=600, lease=30)


class InterruptedStore(MemoryStore):
    """A store that calls a function before one of its next calls."""

    def __init__(self, clock):
        super().__init__(clock)
        self.now = clock
        self._left = 0

    def before(self, call, act):
        self._left, self._act = call, act

    def run(self, transitions):
        self._left -= 1
        if self._left == 0:
            self._act()
        return super().run(transitions)


def fail():
    raise StoreUnavailable("away")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def unique(clock):
    return Unique(InterruptedStore(clock), default=POLICY)


def test_own_lease_confirmed_before_renewal_is_a_duplicate(unique):
    """The earlier push had an unknown outcome; now a worker fetches its job and holds the lock."""
    faktory = Faktory()
    faktory.errors = {"jid-00000001": PushStatus.UNKNOWN}
    [first] = unique.push([job()], faktory)
    fetched = confirm_transition(first.key, "jid-00000001", 90)
    unique._context.store.before(2, lambda: unique._context.store.run([fetched]))
    [again] = unique.push([job()], faktory)
    assert (again.status, again.jid) == (PushStatus.DUPLICATE, "jid-00000001")
    assert lock(unique, again) == ("jid-00000001", 90)
    assert len(faktory.jids) == 1


def test_deferred_confirm_yields_to_a_workers_deferred_write(unique):
    """This process has fetched the job as well, and could not release its lock."""
    faktory = Faktory()

    def work(jobs):
        stamp = jobs[0]["custom"]["unique"]
        unique._context.deferred.defer(
            release_transition(stamp["key"], stamp["owner"]), 60, lambda _c, _f: None, yields=False
        )
        unique._context.store.before(1, fail)

    faktory.meanwhile = work
    [result] = unique.push([job()], faktory)
    unique.close()
    assert lock(unique, result) == (None, None)


@pytest.mark.parametrize(
    ("lease", "after", "applied"),
    [(30, 19, True), (30, 20, False), (300, 289, True), (300, 290, False)],
)
def test_confirm_is_deferred_for_the_rest_of_the_lease(clock, lease, after, applied):
    """The lease counts from before the acquire. In this test's store it lasts longer."""
    unique = Unique(InterruptedStore(clock), default=Policy(ttl=600, lease=lease))
    faktory = Faktory()

    def be_slow(_jobs):
        clock.now += 10
        unique._context.store.before(1, fail)

    faktory.meanwhile = be_slow
    [result] = unique.push([job()], faktory)
    value, expiry = unique._context.store._locks[result.key]
    unique._context.store._set(result.key, value, expiry + 1_000)
    clock.now += after
    unique.close()
    assert lock(unique, result)[0] == ("jid-00000001" if applied else "jid-00000001?")
