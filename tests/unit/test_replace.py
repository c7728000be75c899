"""`on_conflict="replace"`: what a push does whose equal is there, and what it says of it."""

from __future__ import annotations

import pytest

from faktory_unique import Policy, PushStatus, Unique
from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.lifecycle import replace_transition
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
def seen():
    return []


@pytest.fixture
def unique(clock, seen):
    store = MemoryStore(clock)
    store.now = clock
    policy = Policy(ttl=600, lease=30, on_conflict="replace")
    return Unique(store, default=policy, hooks=[seen.append])


@pytest.fixture
def old(unique, faktory):
    [result] = unique.push([job(jid=OLD)], faktory)
    return result


def names(seen, jid=NEW):
    return [event.name.value for event in seen if event.jid == jid]


def tombstone(unique, result, owner=OLD):
    key = tombstone_key(result.key, owner)
    return unique._context.store.values().get(key), unique._context.store.ttl(key)


def put(unique, result, value, ttl=500):
    """Gives the lock a value, whatever it was."""
    found = unique._context.store.values().get(result.key)
    unique._context.store.run([Transition(result.key, (found,), value, ttl)])


class TestAgainstAHeldLock:
    def test_the_new_job_goes_out_and_says_whom_it_replaces(self, unique, faktory, old):
        [new] = unique.push([job(jid=NEW)], faktory)
        assert faktory.jids == [OLD, NEW]
        stamp = read_stamp(faktory.received[1][0])
        assert (stamp.owner, stamp.replaceable, stamp.replaces) == (NEW, True, OLD)
        assert (new.status, new.jid, new.replaced, new.confirmed) == ("pushed", NEW, OLD, True)

    def test_first_job_is_replaceable_and_replaces_no_other(self, faktory, old):
        stamp = read_stamp(faktory.received[0][0])
        assert (stamp.replaceable, stamp.replaces) == (True, None)
        assert old.replaced is None

    def test_until_it_is_accepted_the_lock_is_the_old_ones(self, unique, faktory, old):
        """Push first: a crash in between leaves two jobs, never none."""
        looked = []
        faktory.meanwhile = lambda _jobs: looked.append(lock(unique, old)[0])
        unique.push([job(jid=NEW)], faktory)
        assert looked == [OLD]

    def test_then_it_is_the_new_ones_and_the_old_has_a_tombstone(self, unique, faktory, clock, old):
        clock.now += 100
        [new] = unique.push([job(jid=NEW)], faktory)
        assert lock(unique, new) == (NEW, 600)
        assert tombstone(unique, old) == (NEW, 600)

    def test_it_is_told(self, unique, faktory, seen, old):
        unique.push([job(jid=NEW)], faktory)
        assert names(seen) == ["confirmed"]
        assert seen[-1].detail == f"replaces {OLD}"

    @pytest.mark.parametrize("status", ["refused", "not_sent", "unknown"])
    def test_one_that_is_not_accepted_leaves_the_lock_to_the_old(
        self, unique, faktory, old, status
    ):
        faktory.errors = {NEW: PushStatus(status)}
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (new.status, new.replaced) == (status, None)
        assert lock(unique, old) == (OLD, 600)
        assert tombstone(unique, old) == (None, None)

    @pytest.mark.parametrize("by", ["this process", "another"])
    def test_a_job_that_is_there_itself_is_its_own_duplicate(self, unique, faktory, old, by):
        second = Unique(unique._context.store, default=Policy(ttl=600, on_conflict="replace"))
        pushing = unique if by == "this process" else second
        [again] = pushing.push([job(jid=OLD)], faktory)
        assert (again.status, again.jid, again.error) == ("duplicate", OLD, None)
        assert faktory.jids == [OLD]

    def test_replaced_job_is_new_work_when_pushed_again(self, unique, faktory, old):
        unique.push([job(jid=NEW)], faktory)
        [again] = unique.push([job(jid=OLD)], faktory)
        assert (again.status, again.replaced) == ("pushed", NEW)
        assert again.submitted_jid == OLD != again.jid


class TestWhatTheSwapFinds:
    """It is the producer's, after +OK; a worker, or a third, can have been there before."""

    def meanwhile(self, faktory, act):
        faktory.meanwhile = lambda _jobs: act()

    def test_the_old_lock_gone_the_new_one_is_taken(self, unique, faktory, old):
        self.meanwhile(faktory, lambda: put(unique, old, None))
        [new] = unique.push([job(jid=NEW)], faktory)
        assert new.confirmed
        assert lock(unique, new) == (NEW, 600)
        assert tombstone(unique, old)[0] == NEW

    def test_a_worker_that_has_taken_it_over_was_faster(self, unique, faktory, seen, old):
        self.meanwhile(
            faktory, lambda: unique._context.store.run([replace_transition(old.key, NEW, OLD, 77)])
        )
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (new.confirmed, new.replaced) == (True, OLD)
        assert lock(unique, new) == (NEW, 77)
        assert names(seen) == ["confirmed"]

    def test_and_one_that_has_freed_it_since(self, unique, faktory, old):
        def work():
            unique._context.store.run([replace_transition(old.key, NEW, OLD, 77)])
            put(unique, old, None)

        self.meanwhile(faktory, work)
        [new] = unique.push([job(jid=NEW)], faktory)
        assert new.confirmed
        assert lock(unique, new) == (None, None)

    def test_third_replacement_leaves_two_jobs_and_says_so(self, unique, faktory, seen, old):
        self.meanwhile(
            faktory,
            lambda: unique._context.store.run([replace_transition(old.key, "third-jid", OLD, 77)]),
        )
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (bool(new), new.confirmed, new.replaced) == (True, False, None)
        assert lock(unique, new) == ("third-jid", 77)
        assert tombstone(unique, old)[0] == "third-jid"
        assert names(seen) == ["lapsed"]
        assert seen[-1].detail == f"third-jid has replaced {OLD}, too"

    @pytest.mark.parametrize("state", ["third-jid", "third-jid?"])
    def test_one_pushed_after_the_old_was_over_too(self, unique, faktory, seen, old, state):
        """The tombstone is written all the same: it is for a job that Faktory has accepted."""
        self.meanwhile(faktory, lambda: put(unique, old, state))
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (bool(new), new.confirmed) == (True, False)
        assert lock(unique, new) == (state, 500)
        assert tombstone(unique, old)[0] == NEW
        assert seen[-1].detail == f"third-jid has replaced {OLD}, too"

    def test_it_is_told_no_matter_how_long_the_push_took(self, unique, faktory, clock, old):
        def dawdle():
            clock.now += 31

        self.meanwhile(faktory, dawdle)
        [new] = unique.push([job(jid=NEW)], faktory)
        assert new.confirmed
        assert lock(unique, new)[0] == NEW


class TestAgainstALease:
    """Whether its job will be there nobody knows."""

    def test_it_goes_out_beside_it_and_changes_nothing(self, unique, faktory, seen, old):
        put(unique, old, f"{OLD}?")
        [new] = unique.push([job(jid=NEW)], faktory)
        assert (new.status, new.jid, new.replaced) == ("unguarded", NEW, None)
        assert new
        assert not new.confirmed
        assert lock(unique, new) == (f"{OLD}?", 500)
        assert tombstone(unique, old) == (None, None)
        assert names(seen) == ["unguarded"]
        assert seen[-1].detail == new.error
        assert new.error.startswith(f"{OLD} has the lock, and ")

    def test_its_stamp_says_that_it_can_be_replaced(self, unique, faktory, old):
        put(unique, old, f"{OLD}?")
        unique.push([job(jid=NEW)], faktory)
        stamp = read_stamp(faktory.received[1][0])
        assert (stamp.owner, stamp.replaceable, stamp.replaces) == (NEW, True, None)


class TestUnderANameThatWasReplaced:
    """Its own tombstone stands: under that name it would step aside at FETCH."""

    def test_a_free_lock_is_taken_under_a_fresh_one(self, unique, faktory):
        [first] = unique.push([job(2)], faktory)
        unique._context.store.run([Transition(tombstone_key(first.key, NEW), (None,), "x", 90)])
        put(unique, first, None)
        [new] = unique.push([job(2, jid=NEW)], faktory)
        assert new.status is PushStatus.PUSHED
        assert new.submitted_jid == NEW != new.jid
        assert lock(unique, new) == (new.jid, 600)
        assert read_stamp(faktory.received[1][0]).owner == new.jid

    def test_so_is_its_successors(self, unique, faktory, old):
        """Of another process, which does not remember that it has pushed this Job."""
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


class TestABatch:
    def test_the_last_of_equal_jobs_is_pushed(self, unique, faktory):
        jobs = [job(1, "jid-a-000"), job(2), job(1, "jid-b-000"), job(1, "jid-c-000")]
        results = unique.push(jobs, faktory)
        assert faktory.jids == ["jid-00000002", "jid-c-000"]
        assert [r.status for r in results] == ["duplicate", "pushed", "duplicate", "pushed"]
        assert [results[0].jid, results[2].jid] == ["jid-c-000"] * 2

    def test_it_replaces_what_is_there(self, unique, faktory, old):
        results = unique.push([job(jid="jid-a-000"), job(jid=NEW)], faktory)
        assert [(r.status, r.replaced) for r in results] == [("duplicate", None), ("pushed", OLD)]
        assert lock(unique, old)[0] == NEW

    def test_where_it_is_refused_the_one_before_it_is(self, unique, faktory):
        faktory.errors = {"jid-c-000": PushStatus.REFUSED}
        jobs = [job(jid="jid-a-000"), job(jid="jid-b-000"), job(jid="jid-c-000")]
        results = unique.push(jobs, faktory)
        assert [r.status for r in results] == ["duplicate", "pushed", "refused"]
        assert results[0].jid == "jid-b-000"
        assert lock(unique, results[1])[0] == "jid-b-000"
