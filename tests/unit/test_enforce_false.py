"""`enforce=False`: nothing is kept from being pushed, and what would be is told."""

from __future__ import annotations

import threading

import pytest

from faktory_unique import InvalidJob, Policy, PushStatus, StoreError, Unique
from faktory_unique.locks.stamp import read_stamp
from faktory_unique.locks.transition import Transition
from faktory_unique.stores.memory import MemoryStore
from tests.unit.push_helpers import FailingStore, Faktory, job, lock

OBSERVING = Policy(ttl=600, lease=30, enforce=False, on_store_error="raise")


@pytest.fixture
def faktory():
    return Faktory()


@pytest.fixture
def seen():
    return []


@pytest.fixture
def unique(seen):
    return observing(MemoryStore(), seen)


def observing(store, seen, **policies):
    return Unique(store, {"Email": OBSERVING, **policies}, hooks=[seen.append])


def told(seen, name="observed"):
    return [(event.jid, event.detail) for event in seen if event.name == name]


def test_the_first_of_equal_jobs_is_locked_like_any(unique, faktory, seen):
    [first] = unique.push([job()], faktory)
    assert (first.status, first.confirmed) == ("pushed", True)
    assert lock(unique, first)[0] == first.jid
    stamp = read_stamp(faktory.received[0][0])
    assert (stamp.owner, stamp.enforce) == (first.jid, False)
    assert told(seen) == []


def test_what_would_be_a_duplicate_is_pushed_and_told(unique, faktory, seen):
    [first] = unique.push([job()], faktory)
    [again] = unique.push([job(jid="other-jid")], faktory)
    assert again
    assert (again.status, again.jid, again.key) == ("observed", "other-jid", first.key)
    assert (again.confirmed, again.error) == (False, f"{first.jid} has the lock")
    assert faktory.jids == [first.jid, "other-jid"]
    assert told(seen) == [("other-jid", f"{first.jid} has the lock")]
    assert told(seen, "duplicate") == []


def test_it_bears_no_stamp_and_so_touches_no_lock(unique, faktory):
    """Nor one that came with a copied custom."""
    [first] = unique.push([job()], faktory)
    copied = {"unique": {"v": 1}, "a": 1}
    unique.push([job(jid="other-jid", custom=copied)], faktory)
    assert faktory.received[1][0] == job(jid="other-jid", custom={"a": 1})
    assert lock(unique, first)[0] == first.jid


def test_exclusive_and_on_conflict_are_without_effect(faktory):
    for on_conflict in ("raise", "replace"):
        policy = OBSERVING.model_copy(update={"on_conflict": on_conflict, "exclusive": True})
        unique = Unique("memory://", default=policy)
        [first] = unique.push([job()], faktory)
        [again] = unique.push([job(jid="other-jid")], faktory)
        assert (again.status, again.replaced) == ("observed", None)
        assert lock(unique, first)[0] == first.jid
        stamp = read_stamp(faktory.received[-2][0])
        assert (stamp.exclusive, stamp.replaceable) == (False, False)
        assert set(unique._context.store.values()) == {first.key}


def test_against_a_lease_it_is_pushed_too(unique, faktory, seen):
    [first] = unique.push([job()], faktory)
    unique._context.store.run([Transition(first.key, (first.jid,), f"{first.jid}?", 30)])
    [again] = unique.push([job(jid="other-jid")], faktory)
    assert again.status is PushStatus.OBSERVED
    assert told(seen) == [("other-jid", f"{first.jid} has the lock")]


class TestItsOwnName:
    """One jid sent twice destroys reservations, observed or not."""

    def test_own_lock_makes_it_go_out_under_a_new_jid(self, unique, faktory, seen):
        """Pushed by another process; this one does not remember it."""
        unique.push([job()], faktory)
        [again] = observing(unique._context.store, seen).push([job()], faktory)
        assert (again.status, again.submitted_jid) == ("observed", "jid-00000001")
        assert again.jid == faktory.jids[1] != "jid-00000001"

    def test_pushed_again_by_this_process_it_has_a_new_jid(self, unique, faktory):
        unique.push([job()], faktory)
        unique.push([job(jid="other-jid")], faktory)
        for jid in ("jid-00000001", "other-jid"):
            [again] = unique.push([job(jid=jid)], faktory)
            assert again.status is PushStatus.OBSERVED
        assert len(set(faktory.jids)) == 4

    def test_a_thread_that_pushes_the_same_job_sends_another_copy(self, unique, faktory):
        inside, go_on = threading.Event(), threading.Event()

        def slowly(jobs):
            inside.set()
            assert go_on.wait(5)
            return faktory(jobs)

        results = []
        first = threading.Thread(target=lambda: results.extend(unique.push([job()], slowly)))
        first.start()
        assert inside.wait(5)
        [second] = unique.push([job()], faktory)
        go_on.set()
        first.join(5)
        assert second.status is PushStatus.OBSERVED
        assert second.jid != second.submitted_jid == "jid-00000001"
        assert [(r.status, r.jid) for r in results] == [("pushed", "jid-00000001")]


class TestABatch:
    def test_those_after_the_first_go_out_with_it(self, unique, faktory, seen):
        jobs = [job(1, "jid-a-000"), job(2), job(1, "jid-b-000"), job(1, "jid-c-000")]
        results = unique.push(jobs, faktory)
        assert [r.status for r in results] == ["pushed", "pushed", "observed", "observed"]
        assert [r.error for r in results] == [None, None, *["jid-a-000 has the lock"] * 2]
        assert [[j["jid"] for j in batch] for batch in faktory.received] == [
            ["jid-a-000", "jid-00000002", "jid-b-000", "jid-c-000"]
        ]
        assert told(seen) == [(jid, "jid-a-000 has the lock") for jid in ("jid-b-000", "jid-c-000")]
        assert lock(unique, results[0])[0] == "jid-a-000"

    def test_one_that_is_refused_or_unknown_is_told_as_that(self, unique, faktory):
        faktory.errors = {"jid-b-000": PushStatus.REFUSED, "jid-c-000": PushStatus.UNKNOWN}
        results = unique.push([job(jid=f"jid-{n}-000") for n in "abc"], faktory)
        assert [r.status for r in results] == ["pushed", "refused", "unknown"]
        faktory.errors = {}
        [again] = unique.push([job(jid="jid-c-000")], faktory)
        assert again.jid != "jid-c-000"

    def test_a_jid_that_stands_twice_refuses_nothing(self, unique, faktory):
        results = unique.push([job(1, "jid-a-000"), job(2, "jid-a-000")], faktory)
        assert [r.status for r in results] == ["pushed", "pushed"]

    def test_also_where_another_job_of_the_batch_is_enforced(self, faktory, seen):
        unique = observing(MemoryStore(), seen, Payment=Policy())
        jobs = [job(1, "jid-a-000"), job(1, "jid-a-000"), job(1, jobtype="Payment")]
        results = unique.push(jobs, faktory)
        assert [r.status for r in results] == ["pushed", "observed", "pushed"]
        assert len(set(faktory.jids)) == 3

    def test_no_jid_of_it_is_sent_twice_by_two_threads(self, unique, faktory):
        def as_a_second_thread_would(_jobs):
            faktory.meanwhile = lambda _jobs: None
            unique.push([job(1, "jid-b-000")], faktory)

        faktory.meanwhile = as_a_second_thread_would
        unique.push([job(1, "jid-a-000"), job(1, "jid-b-000")], faktory)
        assert len(faktory.jids) == len(set(faktory.jids)) == 3

    def test_but_what_is_enforced_is_refused_twice(self, faktory, seen):
        unique = observing(MemoryStore(), seen, Payment=Policy())
        jobs = [job(1), *(job(n, "jid-p-000", jobtype="Payment") for n in (1, 2))]
        with pytest.raises(InvalidJob, match=r"jobs\[2\]\.jid"):
            unique.push(jobs, faktory)

    def test_an_enforced_job_of_the_same_scope_is_a_duplicate(self, faktory, seen):
        scope = {"scope": "mail"}
        policies = {"Email": OBSERVING.model_copy(update=scope), "Letter": Policy(**scope)}
        unique = Unique("memory://", policies)
        results = unique.push([job(1), job(1, "jid-b-000", jobtype="Letter")], faktory)
        assert [r.status for r in results] == ["pushed", "duplicate"]


class TestAKeyThatCannotBeMade:
    def test_it_is_told_and_the_job_pushed_as_not_unique(self, faktory, seen):
        unique = observing(MemoryStore(), seen, Picked=Policy(enforce=False, by=[3]))
        wrong = job(jobtype="Picked", custom={"unique": {"v": 1}, "a": 1})
        [result] = unique.push([wrong], faktory)
        assert (result.status, result.key) == ("pushed", None)
        assert faktory.received[0][0]["custom"] == {"a": 1}
        [event] = seen
        assert (event.name, event.key, event.jid, event.jobtype) == (
            *("key_failed", "", wrong["jid"]),
            "Picked",
        )
        assert "has no '3', which `by` 3 selects" in event.detail

    @pytest.mark.parametrize(
        "fields", [{"custom": {"unique_for": "10m"}}, {"at": "tomorrow"}, {"jid": "short"}]
    )
    def test_so_is_whatever_else_is_wrong_with_it(self, unique, faktory, seen, fields):
        assert unique.push([job(2), job(**fields)], faktory)[1].status is PushStatus.PUSHED
        assert [event.name for event in seen] == ["key_failed", "acquired", "confirmed"]


class TestAStoreThatIsAway:
    def test_at_the_take_the_job_goes_out_unguarded(self, faktory, seen):
        unique = observing(FailingStore(fail_at={1}), seen)
        [result] = unique.push([job()], faktory)
        assert (result.status, result.confirmed) == ("unguarded", False)
        assert result.error == "store is away"
        assert [event.name for event in seen] == ["unguarded"]
        assert read_stamp(faktory.received[0][0]).enforce is False

    def test_one_of_the_batch_that_is_enforced_keeps_all_back(self, faktory, seen):
        unique = observing(FailingStore(fail_at={1}), seen, Payment=Policy())
        with pytest.raises(StoreError):
            unique.push([job(1), job(2, jobtype="Payment")], faktory)
        assert faktory.received == []
