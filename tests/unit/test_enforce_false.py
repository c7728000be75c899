"""`enforce=False`: no push is prevented, and a would-be duplicate is reported as observed."""

from __future__ import annotations

import threading

import pytest

from faktory_unique import InvalidJob, Policy, PushStatus, StoreError, Unique
from faktory_unique.locks.stamp import read_stamp
from faktory_unique.locks.transition import Transition
from faktory_unique.stores.memory import MemoryStore
from tests.patience import PATIENCE
from tests.unit.push_helpers import FailingStore, Faktory, job, lock

OBSERVING = Policy(ttl=600, lease=30, enforce=False, on_store_error="raise")


@pytest.fixture
def faktory():
    return Faktory()


@pytest.fixture
def events():
    return []


@pytest.fixture
def unique(events):
    return observing_unique(MemoryStore(), events)


def observing_unique(store, events, **policies):
    return Unique(store, {"Email": OBSERVING, **policies}, hooks=[events.append])


def reported(events, name="observed"):
    return [(event.jid, event.detail) for event in events if event.name == name]


def test_first_of_equal_jobs_is_locked(unique, faktory, events):
    [first] = unique.push([job()], faktory)
    assert (first.status, first.confirmed) == ("pushed", True)
    assert lock(unique, first)[0] == first.jid
    stamp = read_stamp(faktory.received[0][0])
    assert (stamp.owner, stamp.enforce) == (first.jid, False)
    assert reported(events) == []


def test_would_be_duplicate_is_pushed_as_observed(unique, faktory, events):
    [first] = unique.push([job()], faktory)
    [again] = unique.push([job(jid="other-jid")], faktory)
    assert again
    assert (again.status, again.jid, again.key) == ("observed", "other-jid", first.key)
    assert (again.confirmed, again.error) == (False, f"{first.jid} has the lock")
    assert faktory.jids == [first.jid, "other-jid"]
    assert reported(events) == [("other-jid", f"{first.jid} has the lock")]
    assert reported(events, "duplicate") == []


def test_observed_job_has_no_stamp_and_touches_no_lock(unique, faktory):
    """A stamp that came with a copied custom is removed as well."""
    [first] = unique.push([job()], faktory)
    copied = {"unique": {"v": 1}, "a": 1}
    unique.push([job(jid="other-jid", custom=copied)], faktory)
    assert faktory.received[1][0] == job(jid="other-jid", custom={"a": 1})
    assert lock(unique, first)[0] == first.jid


def test_exclusive_and_on_conflict_have_no_effect(faktory):
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


def test_equal_of_a_leased_job_is_observed(unique, faktory, events):
    [first] = unique.push([job()], faktory)
    unique._context.store.run([Transition(first.key, (first.jid,), f"{first.jid}?", 30)])
    [again] = unique.push([job(jid="other-jid")], faktory)
    assert again.status is PushStatus.OBSERVED
    assert reported(events) == [("other-jid", f"{first.jid} has the lock")]


class TestSameJid:
    """One jid sent twice destroys reservations, observed or not."""

    def test_own_lock_of_another_process_means_a_new_jid(self, unique, faktory, events):
        """Another process pushed the job; this one does not remember it."""
        unique.push([job()], faktory)
        [again] = observing_unique(unique._context.store, events).push([job()], faktory)
        assert (again.status, again.submitted_jid) == ("observed", "jid-00000001")
        assert again.jid == faktory.jids[1] != "jid-00000001"

    def test_job_pushed_again_by_this_process_gets_a_new_jid(self, unique, faktory):
        unique.push([job()], faktory)
        unique.push([job(jid="other-jid")], faktory)
        for jid in ("jid-00000001", "other-jid"):
            [again] = unique.push([job(jid=jid)], faktory)
            assert again.status is PushStatus.OBSERVED
        assert len(set(faktory.jids)) == 4

    def test_second_thread_with_the_same_job_sends_another_copy(self, unique, faktory):
        started, may_finish = threading.Event(), threading.Event()

        def push_slowly(jobs):
            started.set()
            assert may_finish.wait(PATIENCE)
            return faktory(jobs)

        results = []
        first = threading.Thread(target=lambda: results.extend(unique.push([job()], push_slowly)))
        first.start()
        assert started.wait(PATIENCE)
        [second] = unique.push([job()], faktory)
        may_finish.set()
        first.join(PATIENCE)
        assert second.status is PushStatus.OBSERVED
        assert second.jid != second.submitted_jid == "jid-00000001"
        assert [(r.status, r.jid) for r in results] == [("pushed", "jid-00000001")]


class TestBatch:
    def test_equal_jobs_are_observed_and_sent_with_the_first(self, unique, faktory, events):
        jobs = [job(1, "jid-a-000"), job(2), job(1, "jid-b-000"), job(1, "jid-c-000")]
        results = unique.push(jobs, faktory)
        assert [r.status for r in results] == ["pushed", "pushed", "observed", "observed"]
        assert [r.error for r in results] == [None, None, *["jid-a-000 has the lock"] * 2]
        assert [[j["jid"] for j in batch] for batch in faktory.received] == [
            ["jid-a-000", "jid-00000002", "jid-b-000", "jid-c-000"]
        ]
        assert reported(events) == [
            (jid, "jid-a-000 has the lock") for jid in ("jid-b-000", "jid-c-000")
        ]
        assert lock(unique, results[0])[0] == "jid-a-000"

    def test_refused_or_unknown_job_is_reported_as_such(self, unique, faktory):
        faktory.errors = {"jid-b-000": PushStatus.REFUSED, "jid-c-000": PushStatus.UNKNOWN}
        results = unique.push([job(jid=f"jid-{n}-000") for n in "abc"], faktory)
        assert [r.status for r in results] == ["pushed", "refused", "unknown"]
        faktory.errors = {}
        [again] = unique.push([job(jid="jid-c-000")], faktory)
        assert again.jid != "jid-c-000"

    def test_repeated_jid_is_not_refused(self, unique, faktory):
        results = unique.push([job(1, "jid-a-000"), job(2, "jid-a-000")], faktory)
        assert [r.status for r in results] == ["pushed", "pushed"]

    def test_repeated_jid_is_not_refused_with_an_enforced_job(self, faktory, events):
        unique = observing_unique(MemoryStore(), events, Payment=Policy())
        jobs = [job(1, "jid-a-000"), job(1, "jid-a-000"), job(1, jobtype="Payment")]
        results = unique.push(jobs, faktory)
        assert [r.status for r in results] == ["pushed", "observed", "pushed"]
        assert len(set(faktory.jids)) == 3

    def test_two_threads_send_each_jid_once(self, unique, faktory):
        def push_in_second_thread(_jobs):
            faktory.meanwhile = lambda _jobs: None
            unique.push([job(1, "jid-b-000")], faktory)

        faktory.meanwhile = push_in_second_thread
        unique.push([job(1, "jid-a-000"), job(1, "jid-b-000")], faktory)
        assert len(faktory.jids) == len(set(faktory.jids)) == 3

    def test_repeated_jid_of_enforced_jobs_is_refused(self, faktory, events):
        unique = observing_unique(MemoryStore(), events, Payment=Policy())
        jobs = [job(1), *(job(n, "jid-p-000", jobtype="Payment") for n in (1, 2))]
        with pytest.raises(InvalidJob, match=r"jobs\[2\]\.jid"):
            unique.push(jobs, faktory)

    def test_enforced_job_of_the_same_scope_is_a_duplicate(self, faktory, events):
        scope = {"scope": "mail"}
        policies = {"Email": OBSERVING.model_copy(update=scope), "Letter": Policy(**scope)}
        unique = Unique("memory://", policies)
        results = unique.push([job(1), job(1, "jid-b-000", jobtype="Letter")], faktory)
        assert [r.status for r in results] == ["pushed", "duplicate"]


class TestKeyError:
    def test_failed_key_is_reported_and_the_job_pushed(self, faktory, events):
        unique = observing_unique(MemoryStore(), events, Picked=Policy(enforce=False, by=[3]))
        invalid = job(jobtype="Picked", custom={"unique": {"v": 1}, "a": 1})
        [result] = unique.push([invalid], faktory)
        assert (result.status, result.key) == ("pushed", None)
        assert faktory.received[0][0]["custom"] == {"a": 1}
        [event] = events
        assert (event.name, event.key, event.jid, event.jobtype) == (
            *("key_failed", "", invalid["jid"]),
            "Picked",
        )
        assert "has no '3', which `by` 3 selects" in event.detail

    @pytest.mark.parametrize(
        "fields", [{"custom": {"unique_for": "10m"}}, {"at": "tomorrow"}, {"jid": "short"}]
    )
    def test_other_invalid_fields_are_reported_and_the_job_pushed(
        self, unique, faktory, events, fields
    ):
        assert unique.push([job(2), job(**fields)], faktory)[1].status is PushStatus.PUSHED
        assert [event.name for event in events] == ["key_failed", "acquired", "confirmed"]


class TestStoreAway:
    def test_store_away_at_acquire_pushes_unguarded(self, faktory, events):
        unique = observing_unique(FailingStore(fail_at={1}), events)
        [result] = unique.push([job()], faktory)
        assert (result.status, result.confirmed) == ("unguarded", False)
        assert result.error == "store is away"
        assert [event.name for event in events] == ["unguarded"]
        assert read_stamp(faktory.received[0][0]).enforce is False

    def test_enforced_job_of_the_batch_stops_the_push(self, faktory, events):
        unique = observing_unique(FailingStore(fail_at={1}), events, Payment=Policy())
        with pytest.raises(StoreError):
            unique.push([job(1), job(2, jobtype="Payment")], faktory)
        assert faktory.received == []
