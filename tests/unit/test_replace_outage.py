"""A producer's swap while the store is away: the job is pushed, and the swap is deferred."""

from __future__ import annotations

import pytest

from faktory_unique import Policy, StoreUnavailable, Unique
from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.lifecycle import swap_transition
from faktory_unique.stores.memory import MemoryStore
from tests.unit.push_helpers import Clock, Faktory, job, lock

OLD, NEW = "jid-old-1", "jid-new-1"


class StoreWithoutSwaps(MemoryStore):
    """A store that is away for each transition that replaces."""

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
def events():
    return []


@pytest.fixture
def unique(clock, events):
    unique = Unique(StoreWithoutSwaps(clock), hooks=[events.append], default=policy())
    yield unique
    unique._context.store.away = False
    unique.close()


def policy(lease=30):
    return Policy(ttl=600, lease=lease, on_conflict="replace")


def push_with_deferred_swap(unique):
    unique.push([job(jid=OLD)], Faktory())
    [new] = unique.push([job(jid=NEW)], Faktory())
    return new


def event_names(events, jid=NEW):
    return [event.name.value for event in events if event.jid == jid]


def test_job_is_pushed_and_its_lock_unconfirmed(unique, events):
    new = push_with_deferred_swap(unique)
    assert (new.status, new.replaced) == ("pushed", OLD)
    assert (new.confirmed, new.retry_after) == (False, None)
    assert lock(unique, new)[0] == OLD
    assert event_names(events) == ["store_error"]


def test_deferred_swap_is_applied_once_the_store_is_back(unique, events):
    new = push_with_deferred_swap(unique)
    unique._context.store.away = False
    unique._context.deferred.flush()
    assert lock(unique, new) == (NEW, 600)
    assert unique._context.store.values()[tombstone_key(new.key, OLD)] == NEW
    assert event_names(events) == ["store_error", "confirmed"]


def test_deferred_swap_leaves_the_lock_of_a_faster_worker(unique, events):
    new = push_with_deferred_swap(unique)
    unique._context.store.away = False
    unique._context.store.run([swap_transition(new.key, NEW, OLD, 77)])
    unique._context.deferred.flush()
    assert lock(unique, new) == (NEW, 77)
    assert event_names(events) == ["store_error"]


@pytest.mark.parametrize(
    ("lease", "after", "applied"),
    [(30, 29, True), (30, 30, False), (300, 59, True), (300, 60, False)],
)
def test_swap_is_deferred_no_longer_than_lease_and_tombstone(clock, lease, after, applied):
    """A worker's tombstone lasts at least 90 s. Later, nothing says that the worker replaced it."""
    unique = Unique(StoreWithoutSwaps(clock), default=policy(lease))
    new = push_with_deferred_swap(unique)
    clock.now += after
    unique._context.store.away = False
    unique._context.deferred.flush()
    assert lock(unique, new)[0] == (NEW if applied else OLD)
