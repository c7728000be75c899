"""`on_conflict="replace"`: a push whose equal exists, and its result."""

from __future__ import annotations

import pytest

from faktory_unique import Policy, PushStatus, Unique
from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.lifecycle import swap_transition
from faktory_unique.locks.stamp import read_stamp
from faktory_unique.locks.transition import Transition
from faktory_unique.stores.memory import MemoryStore
from tests.unit.push_helpers import Clock, Faktory, job, lock

OLD, NEW = "jid-old-1", "jid-new-1"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def faktory():
    return Faktory()


@pytest.fixture
def events():
    return []


@pytest.fixture
def unique(clock, events):
    store = MemoryStore(clock)
    store.now = clock
    policy = Policy(ttl=600, lease=30, on_conflict="replace")
    return Unique(store, default=policy, hooks=[events.append])


@pytest.fixture
def old(unique, faktory):
    [result] = unique.push([job(jid=OLD)], faktory)
    return result


def event_names(events, jid=NEW):
    return [event.name.value for event in events if event.jid == jid]


def tombstone(unique, result, owner=OLD):
    key = tombstone_key(result.key, owner)
    return unique._context.store.values().get(key), unique._context.store.ttl(key)


def set_lock(unique, result, value, ttl=500):
    """Set the lock to a value, whatever it was."""
    found = unique._context.store.values().get(result.key)
    unique._context.store.run([Transition(result.key, (found,), value, ttl)])


class TestHeldLock:
    def test_new_job_is_pushed_and_names_the_job_it_replaces(self, unique, faktory, old):
        [new] = unique.push([job(jid=NEW)], faktory)
        assert faktory.jids == [OLD, NEW]
        stamp = read_stamp(faktory.received[1][0])
        assert (stamp.owner, stamp.replaceable, stamp.replaces) == (NEW, True, OLD)
        assert (new.status, new.jid, new.replaced, new.confirmed) == ("pushed", NEW, OLD, True)

    def test_first_job_is_replaceable_and_replaces_no_other(self, faktory, old):
        stamp = read_stamp(faktory.received[0][0])
        assert (stamp.replaceable, stamp.replaces) == (True, None)
        assert old.replaced is None

    def test_old_job_keeps_the_lock_until_the_new_is_accepted(self, unique, faktory, old):
        """Push first: a crash in between leaves two jobs, never none."""
        values = []
        faktory.meanwhile = lambda _jobs: values.append(lock(unique, old)[0])
        unique.push([job(jid=NEW)], faktory)
        assert values == [OLD]

    def test_swap_locks_the_new_job_and_writes_a_tombstone(self, unique, faktory, clock, old):
        clock.now += 100
        [new] = unique.push([job(jid=NEW)], faktory)
        assert lock(unique, new) == (NEW, 600)
        assert tombstone(unique, old) == (NEW, 600)

    def test_replacement_emits_confirmed_with_the_old_jid(self, unique, faktory, events, old):
        unique.push([job(jid=NEW)], faktory)
        assert event_names(events) == ["confirmed"]
        assert events[-1].detail == f"replaces {OLD}"

    @pytest.mark.parametrize("status", ["refused", "not_sent", "unknown"])
    def test_job_that_is_not_accepted_leaves_the_old_lock(self, unique, faktory, old, status):
        faktory.errors = {NEW: PushStatus(status)}
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (new.status, new.replaced) == (status, None)
        assert lock(unique, old) == (OLD, 600)
        assert tombstone(unique, old) == (None, None)

    @pytest.mark.parametrize("by", ["this process", "another"])
    def test_same_job_pushed_again_is_its_own_duplicate(self, unique, faktory, old, by):
        second = Unique(unique._context.store, default=Policy(ttl=600, on_conflict="replace"))
        pusher = unique if by == "this process" else second
        [again] = pusher.push([job(jid=OLD)], faktory)
        assert (again.status, again.jid, again.error) == ("duplicate", OLD, None)
        assert faktory.jids == [OLD]

    def test_replaced_job_is_new_work_when_pushed_again(self, unique, faktory, old):
        unique.push([job(jid=NEW)], faktory)
        [again] = unique.push([job(jid=OLD)], faktory)
        assert (again.status, again.replaced) == ("pushed", NEW)
        assert again.submitted_jid == OLD != again.jid


class TestSwap:
    """The producer swaps after +OK. A worker or a third push may have changed the lock before."""

    def meanwhile(self, faktory, act):
        faktory.meanwhile = lambda _jobs: act()

    def test_swap_acquires_if_the_old_lock_is_gone(self, unique, faktory, old):
        self.meanwhile(faktory, lambda: set_lock(unique, old, None))
        [new] = unique.push([job(jid=NEW)], faktory)
        assert new.confirmed
        assert lock(unique, new) == (NEW, 600)
        assert tombstone(unique, old)[0] == NEW

    def test_swap_leaves_the_lock_to_a_faster_worker(self, unique, faktory, events, old):
        self.meanwhile(
            faktory, lambda: unique._context.store.run([swap_transition(old.key, NEW, OLD, 77)])
        )
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (new.confirmed, new.replaced) == (True, OLD)
        assert lock(unique, new) == (NEW, 77)
        assert event_names(events) == ["confirmed"]

    def test_swap_leaves_a_lock_that_a_worker_released(self, unique, faktory, old):
        def work():
            unique._context.store.run([swap_transition(old.key, NEW, OLD, 77)])
            set_lock(unique, old, None)

        self.meanwhile(faktory, work)
        [new] = unique.push([job(jid=NEW)], faktory)
        assert new.confirmed
        assert lock(unique, new) == (None, None)

    def test_third_replacement_leaves_two_jobs_and_says_so(self, unique, faktory, events, old):
        self.meanwhile(
            faktory,
            lambda: unique._context.store.run([swap_transition(old.key, "third-jid", OLD, 77)]),
        )
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (bool(new), new.confirmed, new.replaced) == (True, False, None)
        assert lock(unique, new) == ("third-jid", 77)
        assert tombstone(unique, old)[0] == "third-jid"
        assert event_names(events) == ["lapsed"]
        assert events[-1].detail == f"third-jid has replaced {OLD}, too"

    @pytest.mark.parametrize("state", ["third-jid", "third-jid?"])
    def test_job_pushed_after_the_old_one_ended_leaves_two_jobs(
        self, unique, faktory, events, old, state
    ):
        """The tombstone is written all the same: Faktory has accepted the job that it is for."""
        self.meanwhile(faktory, lambda: set_lock(unique, old, state))
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (bool(new), new.confirmed, new.replaced) == (True, False, OLD)
        assert lock(unique, new) == (state, 500)
        assert tombstone(unique, old)[0] == NEW
        assert events[-1].detail == f"third-jid has replaced {OLD}, too"

    def test_swap_after_a_slow_push_is_confirmed(self, unique, faktory, clock, old):
        def be_slow():
            clock.now += 31

        self.meanwhile(faktory, be_slow)
        [new] = unique.push([job(jid=NEW)], faktory)
        assert new.confirmed
        assert lock(unique, new)[0] == NEW


class TestLease:
    """The new job's push finds a lease: nobody knows if the leased job will be pushed."""

    def test_new_job_is_pushed_unguarded_and_changes_nothing(self, unique, faktory, events, old):
        set_lock(unique, old, f"{OLD}?")
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (new.status, new.jid, new.replaced) == ("unguarded", NEW, None)
        assert new
        assert not new.confirmed
        assert lock(unique, new) == (f"{OLD}?", 500)
        assert tombstone(unique, old) == (None, None)
        assert event_names(events) == ["unguarded"]
        assert events[-1].detail == new.error
        assert new.error.startswith(f"{OLD} has the lock, and ")

    def test_stamp_of_the_unguarded_job_is_replaceable(self, unique, faktory, old):
        set_lock(unique, old, f"{OLD}?")
        unique.push([job(jid=NEW)], faktory)
        stamp = read_stamp(faktory.received[1][0])
        assert (stamp.owner, stamp.replaceable, stamp.replaces) == (NEW, True, None)


class TestReplacedOwner:
    """The job has a tombstone of its own: under its old jid it would be dropped at FETCH."""

    def test_unlocked_job_is_pushed_under_a_new_jid(self, unique, faktory):
        [first] = unique.push([job(2)], faktory)
        unique._context.store.run([Transition(tombstone_key(first.key, NEW), (None,), "x", 90)])
        set_lock(unique, first, None)
        [new] = unique.push([job(2, jid=NEW)], faktory)
        assert new.status is PushStatus.PUSHED
        assert new.submitted_jid == NEW != new.jid
        assert lock(unique, new) == (new.jid, 600)
        assert read_stamp(faktory.received[1][0]).owner == new.jid

    def test_job_that_replaces_its_successor_gets_a_new_jid(self, unique, faktory, old):
        """This process does not remember that another has pushed the job."""
        unique.push([job(jid=NEW)], faktory)
        second = Unique(
            unique._context.store, default=Policy(ttl=600, lease=30, on_conflict="replace")
        )
        [again] = second.push([job(jid=OLD)], faktory)
        assert (again.status, again.replaced) == ("pushed", NEW)
        assert again.submitted_jid == OLD != again.jid
        assert lock(unique, again)[0] == again.jid
        assert tombstone(unique, old, NEW)[0] == again.jid
        assert tombstone(unique, old)[0] == NEW


class TestBatch:
    def test_last_of_equal_jobs_is_pushed(self, unique, faktory):
        jobs = [job(1, "jid-a-000"), job(2), job(1, "jid-b-000"), job(1, "jid-c-000")]
        results = unique.push(jobs, faktory)
        assert faktory.jids == ["jid-00000002", "jid-c-000"]
        assert [r.status for r in results] == ["duplicate", "pushed", "duplicate", "pushed"]
        assert [results[0].jid, results[2].jid] == ["jid-c-000"] * 2

    def test_batch_replaces_an_existing_job(self, unique, faktory, old):
        results = unique.push([job(jid="jid-a-000"), job(jid=NEW)], faktory)
        assert [(r.status, r.replaced) for r in results] == [("duplicate", None), ("pushed", OLD)]
        assert lock(unique, old)[0] == NEW

    def test_job_before_a_refused_one_is_pushed(self, unique, faktory):
        faktory.errors = {"jid-c-000": PushStatus.REFUSED}
        jobs = [job(jid="jid-a-000"), job(jid="jid-b-000"), job(jid="jid-c-000")]
        results = unique.push(jobs, faktory)
        assert [r.status for r in results] == ["duplicate", "pushed", "refused"]
        assert results[0].jid == "jid-b-000"
        assert lock(unique, results[1])[0] == "jid-b-000"
