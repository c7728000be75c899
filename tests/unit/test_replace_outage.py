"""A producer's swap while the store is away: its push has happened, and it is owed."""

from __future__ import annotations

import pytest

from faktory_unique import Policy, StoreUnavailable, Unique
from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.lifecycle import replace_transition
from faktory_unique.stores.memory import MemoryStore
from tests.unit.push_helpers import Clock, Faktory, job, lock

OLD, NEW = "jid-old-1", "jid-new-1"


class NoSwaps(MemoryStore):
    """A store that is away whenever something is to be replaced."""

    def __init__(self, now):
        super().__init__(now)
        self.now = now
        self.away = True

    def run(self, transitions):
        if self.away and any(transition.replaces for transition in transitions):
            raise StoreUnavailable("away")
        return super().run(transitions)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def seen():
    return []


@pytest.fixture
def unique(clock, seen):
    unique = Unique(NoSwaps(clock), hooks=[seen.append], default=policy())
    yield unique
    unique._context.store.away = False
    unique.close()


def policy(lease=30):
    return Policy(ttl=600, lease=lease, on_conflict="replace")


def swap_that_is_owed(unique):
    unique.push([job(jid=OLD)], Faktory())
    [new] = unique.push([job(jid=NEW)], Faktory())
    return new


def names(seen, jid=NEW):
    return [event.name.value for event in seen if event.jid == jid]


def test_the_job_is_pushed_and_its_lock_open(unique, seen):
    new = swap_that_is_owed(unique)
    assert (new.status, new.replaced) == ("pushed", OLD)
    assert (new.confirmed, new.retry_after) == (False, None)
    assert lock(unique, new)[0] == OLD
    assert names(seen) == ["store_error"]


def test_it_is_made_at_the_next_push(unique, seen):
    new = swap_that_is_owed(unique)
    unique._context.store.away = False
    unique.push([job(2)], Faktory())
    assert lock(unique, new) == (NEW, 600)
    assert unique._context.store.values()[tombstone_key(new.key, OLD)] == NEW
    assert names(seen) == ["store_error", "confirmed"]


def test_a_worker_that_was_faster_is_left_alone(unique, seen):
    new = swap_that_is_owed(unique)
    unique._context.store.away = False
    unique._context.store.run([replace_transition(new.key, NEW, OLD, 77)])
    unique.push([job(2)], Faktory())
    assert lock(unique, new) == (NEW, 77)
    assert names(seen) == ["store_error"]


@pytest.mark.parametrize(
    ("lease", "after", "made"), [(30, 29, True), (30, 30, False), (300, 59, True), (300, 60, False)]
)
def test_swap_is_deferred_no_longer_than_lease_and_marker(clock, lease, after, made):
    """A worker's tombstone lives for 90 s at the least: later, nothing says that it was there."""
    unique = Unique(NoSwaps(clock), default=policy(lease))
    new = swap_that_is_owed(unique)
    clock.now += after
    unique._context.store.away = False
    unique.push([job(2)], Faktory())
    assert lock(unique, new)[0] == (NEW if made else OLD)
