"""`Unique.push` on a memory store; the test sets Faktory's replies."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from faktory_unique import (
    CommandNotSent,
    InvalidJob,
    Policy,
    PushResult,
    PushStatus,
    StoreError,
    StoreUnavailable,
    Unique,
)
from faktory_unique.locks.lifecycle import (
    acquire_transition,
    confirm_transition,
    release_transition,
)
from faktory_unique.locks.transition import read_transition
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.unique.batch import CHUNK_SIZE
from faktory_unique.unique.push_history import PushHistory
from tests.unit.push_helpers import Clock, FailingStore, Faktory, job, lock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def faktory():
    return Faktory()


@pytest.fixture
def unique(clock):
    return Unique(MemoryStore(clock), {"Email": Policy(ttl=600, lease=30)})


def lose_reply(jobs):
    return [
        PushResult(status=PushStatus.UNKNOWN, jid=job["jid"], submitted_jid=job["jid"])
        for job in jobs
    ]


def test_job_is_pushed_with_a_stamp_and_its_lock_held(unique, faktory):
    [result] = unique.push([job()], faktory)
    assert result.status is PushStatus.PUSHED
    assert result
    assert result.jid == result.submitted_jid == "jid-00000001"
    assert result.confirmed
    assert lock(unique, result) == ("jid-00000001", 600)
    stamp = faktory.received[0][0]["custom"]["unique"]
    assert stamp == {
        "v": 2,
        "key": result.key,
        "owner": "jid-00000001",
        "until": "success",
        "ttl": 600.0,
    }


def test_equal_job_is_not_pushed_and_names_the_holder(unique, faktory):
    unique.push([job(jid="first-jid")], faktory)
    [again] = unique.push([job(jid="other-jid")], faktory)
    assert not again
    assert again.status is PushStatus.DUPLICATE
    assert (again.jid, again.submitted_jid) == ("first-jid", "other-jid")
    assert again.confirmed
    assert faktory.jids == ["first-jid"]


def test_duplicate_is_one_info_line_without_args(unique, faktory, caplog):
    unique.push([job(jid="first-jid", args=["secret"])], faktory)
    with caplog.at_level(logging.INFO, "faktory_unique"):
        unique.push([job(jid="other-jid", args=["secret"])], faktory)
    [record] = caplog.records
    assert record.levelno == logging.INFO
    assert "first-jid" in record.getMessage()
    assert "secret" not in caplog.text


def test_duplicate_of_a_lease_is_not_confirmed(unique, faktory):
    """Another producer is between acquire and confirm: try again in retry_after."""
    [first] = unique.push([job(jid="first-jid")], faktory)
    unique._context.store.run([release_transition(first.key, "first-jid")])
    unique._context.store.run([acquire_transition(first.key, "first-jid", 30)])
    [again] = unique.push([job(jid="other-jid")], faktory)
    assert (again.status, again.confirmed, again.retry_after) == (PushStatus.DUPLICATE, False, 30)
    assert again.jid == "first-jid"


def test_payload_of_the_caller_is_never_changed(unique, faktory):
    payload = job(custom={"trace": "t1"})
    before = {**payload, "custom": dict(payload["custom"])}
    unique.push([payload], faktory)
    assert payload == before
    assert faktory.received[0][0]["custom"]["trace"] == "t1"


def test_job_without_a_policy_passes_untouched(unique, faktory):
    """It is not even copied, and has no lock."""
    plain = job(jobtype="Other", args=[float("nan")])
    [result] = unique.push([plain], faktory)
    assert faktory.received[0][0] is plain
    assert (result.status, result.key) == (PushStatus.PUSHED, None)


@pytest.mark.parametrize("jobtype", ["Email", "Other"])
def test_stamp_in_a_copied_custom_is_removed(unique, faktory, jobtype):
    """Otherwise the new job's ACK would release the lock of the job whose custom was copied."""
    foreign = {
        "v": 1,
        "key": "unique:1:X:rZ9xt7m5cllPaTL2nlZYcw",
        "owner": "foreign-jid",
        "until": "success",
        "ttl": 1,
    }
    unique.push([job(jobtype=jobtype, custom={"unique": foreign, "a": 1})], faktory)
    sent = faktory.received[0][0]["custom"]
    assert sent.get("unique", {}).get("owner") != "foreign-jid"
    assert sent["a"] == 1


def test_scheduled_job_is_held_for_delay_margin_and_ttl(unique, faktory):
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    [result] = unique.push([job(at=at)], faktory)
    assert lock(unique, result)[1] == pytest.approx(3600 + 10 + 600, abs=2)


def test_refused_job_leaves_no_lock(unique, faktory):
    faktory.errors = {"jid-00000001": PushStatus.REFUSED}
    [result] = unique.push([job()], faktory)
    assert (result.status, result.error) == (PushStatus.REFUSED, "error of Faktory")
    assert lock(unique, result) == (None, None)


def test_job_that_was_not_sent_leaves_no_lock(unique, faktory):
    faktory.errors = {"jid-00000001": PushStatus.NOT_SENT}
    [result] = unique.push([job()], faktory)
    assert lock(unique, result) == (None, None)


def test_unknown_outcome_leaves_the_lease(unique, faktory):
    faktory.errors = {"jid-00000001": PushStatus.UNKNOWN}
    [result] = unique.push([job()], faktory)
    assert (result.confirmed, result.retry_after) == (False, 30)
    assert lock(unique, result) == ("jid-00000001?", 30)


def test_unknown_outcome_then_same_job_gets_a_new_jid(unique, faktory, clock):
    """One jid sent twice destroys reservations. The owner, and so the lock, stays the same."""
    faktory.errors = {"jid-00000001": PushStatus.UNKNOWN}
    unique.push([job()], faktory)
    clock.now += 20
    faktory.errors = {}
    [again] = unique.push([job()], faktory)
    assert again
    assert again.submitted_jid == "jid-00000001"
    assert again.jid == faktory.jids[1] != "jid-00000001"
    assert faktory.received[1][0]["custom"]["unique"]["owner"] == "jid-00000001"
    assert lock(unique, again) == ("jid-00000001", 600)


def test_unknown_outcome_then_new_jid_after_the_lease_too(unique, faktory, clock):
    faktory.errors = {"jid-00000001": PushStatus.UNKNOWN}
    unique.push([job()], faktory)
    clock.now += 31
    faktory.errors = {}
    [again] = unique.push([job()], faktory)
    assert again
    assert faktory.jids[1] != "jid-00000001"


def test_renewed_lease_lasts_a_whole_lease(unique, faktory, clock):
    unique.push([job()], lose_reply)
    clock.now += 20
    [again] = unique.push([job()], lose_reply)
    assert lock(unique, again) == ("jid-00000001?", 30)


def test_refused_retry_keeps_an_earlier_pushs_lease(unique, faktory):
    """The earlier push may have arrived: only a lease that this push acquired is rolled back."""
    faktory.errors = {"jid-00000001": PushStatus.UNKNOWN}
    unique.push([job()], faktory)

    def refuse(jobs):
        return [
            PushResult(status=PushStatus.REFUSED, jid=j["jid"], submitted_jid=j["jid"])
            for j in jobs
        ]

    [again] = unique.push([job()], refuse)
    assert lock(unique, again)[0] == "jid-00000001?"


def test_same_job_pushed_twice_is_a_duplicate(unique, faktory):
    unique.push([job()], faktory)
    [again] = unique.push([job()], faktory)
    assert (again.status, again.jid) == (PushStatus.DUPLICATE, "jid-00000001")


class TestFasterWorker:
    """FETCH and even ACK can come before the producer's confirm (reproduced on Faktory 1.10)."""

    def test_confirm_leaves_a_lock_that_the_worker_released(self, unique, faktory):
        faktory.meanwhile = lambda jobs: unique._context.store.run(
            [release_transition(jobs[0]["custom"]["unique"]["key"], jobs[0]["jid"])]
        )
        [result] = unique.push([job()], faktory)
        assert result.confirmed
        assert lock(unique, result) == (None, None)

    def test_confirm_leaves_a_lock_that_the_worker_holds(self, unique, faktory):
        faktory.meanwhile = lambda jobs: unique._context.store.run(
            [confirm_transition(jobs[0]["custom"]["unique"]["key"], jobs[0]["jid"], 77)]
        )
        [result] = unique.push([job()], faktory)
        assert result.confirmed
        assert lock(unique, result) == ("jid-00000001", 77)

    def test_confirm_leaves_the_lock_of_a_later_job(self, unique, faktory):
        """The worker releases it and the next push acquires it, all before this push confirms."""

        def release_and_acquire(jobs):
            key = jobs[0]["custom"]["unique"]["key"]
            unique._context.store.run([release_transition(key, jobs[0]["jid"])])
            unique._context.store.run([acquire_transition(key, "next-jid-1", 30)])

        faktory.meanwhile = release_and_acquire
        [result] = unique.push([job()], faktory)
        assert lock(unique, result) == ("next-jid-1?", 30)

    def test_refusal_after_a_faster_worker_keeps_a_held_lock(self, unique, faktory):
        """A job can be enqueued although its reply is an error: its lock must stay."""
        faktory.errors = {"jid-00000001": PushStatus.REFUSED}
        faktory.meanwhile = lambda jobs: unique._context.store.run(
            [confirm_transition(jobs[0]["custom"]["unique"]["key"], jobs[0]["jid"], 77)]
        )
        [result] = unique.push([job()], faktory)
        assert lock(unique, result) == ("jid-00000001", 77)


class TestBatch:
    def test_equal_jobs_collapse_onto_the_first(self, unique, faktory):
        results = unique.push([job(1, "jid-a-000"), job(2), job(1, "jid-b-000")], faktory)
        assert [r.status for r in results] == ["pushed", "pushed", "duplicate"]
        assert (results[2].jid, results[2].submitted_jid) == ("jid-a-000", "jid-b-000")
        assert results[2].confirmed
        assert faktory.jids == ["jid-a-000", "jid-00000002"]

    def test_equal_jobs_collapse_over_chunks(self, unique, faktory):
        distinct = CHUNK_SIZE + 100
        jobs = [job(n % distinct, f"jid-{n:08}") for n in range(2 * distinct)]
        results = unique.push(jobs, faktory)
        assert [len(batch) for batch in faktory.received] == [CHUNK_SIZE, 100]
        assert sum(bool(r) for r in results) == distinct
        assert all(results[n].jid == results[n + distinct].jid for n in range(distinct))

    @pytest.mark.parametrize("value", [1, "mine", None, [], {"key": "k"}])
    def test_users_value_under_the_stamps_name_is_refused(self, unique, faktory, value):
        with pytest.raises(InvalidJob, match=r"^custom\.unique: this name is reserved"):
            unique.push([{**job(1), "custom": {"unique": value}}], faktory)
        assert faktory.received == []

    def test_stamp_of_the_pushing_job_is_replaced(self, unique, faktory):
        unique.push([job(1)], faktory)
        [[first]] = faktory.received
        assert unique.push([{**job(2), "custom": first["custom"]}], faktory)[0]

    def test_chunk_is_locked_after_the_chunk_before_is_sent(self, unique, faktory):
        """So no lock waits for more than one other chunk."""
        jobs = [job(n) for n in range(CHUNK_SIZE + 1)]
        last_key = unique._requests.build(jobs)[CHUNK_SIZE].key
        values = []
        faktory.meanwhile = lambda _jobs: values.append(
            unique._context.store.run([read_transition(last_key)])[0]
        )
        unique.push(jobs, faktory)
        assert values == [None, f"jid-{CHUNK_SIZE:08}?"]

    def test_follower_is_pushed_if_its_leader_is_refused(self, unique, faktory):
        faktory.errors = {"jid-a-000": PushStatus.REFUSED, "jid-b-000": PushStatus.REFUSED}
        jobs = [job(1, "jid-a-000"), job(1, "jid-b-000"), job(1, "jid-c-000"), job(1, "jid-d-000")]
        results = unique.push(jobs, faktory)
        assert [r.status for r in results] == ["refused", "refused", "pushed", "duplicate"]
        assert results[3].jid == "jid-c-000"
        assert lock(unique, results[2]) == ("jid-c-000", 600)

    def test_follower_is_unknown_if_its_leader_is(self, unique, faktory):
        faktory.errors = {"jid-a-000": PushStatus.UNKNOWN}
        results = unique.push([job(1, "jid-a-000"), job(1, "jid-b-000")], faktory)
        assert [r.status for r in results] == ["unknown", "unknown"]
        assert [r.submitted_jid for r in results] == ["jid-a-000", "jid-b-000"]
        assert faktory.jids == ["jid-a-000"]

    def test_follower_of_a_duplicate_names_the_same_holder(self, unique, faktory):
        unique.push([job(1, "holder-01")], faktory)
        results = unique.push([job(1, "jid-a-000"), job(1, "jid-b-000")], faktory)
        assert [(r.status, r.jid) for r in results] == [("duplicate", "holder-01")] * 2

    def test_unknown_chunk_stops_the_push(self, unique, faktory):
        """Not even a follower of a refused leader is sent: the caller pushes the list again."""
        faktory.errors = {"jid-00000003": PushStatus.UNKNOWN, "jid-a-000": PushStatus.REFUSED}
        jobs = [
            job(5000, "jid-a-000"),
            *(job(n) for n in range(CHUNK_SIZE)),
            job(5000, "jid-b-000"),
        ]
        results = unique.push(jobs, faktory)
        assert len(faktory.received) == 1
        assert results[4].status is PushStatus.UNKNOWN
        assert {r.status for r in results[CHUNK_SIZE:]} == {PushStatus.NOT_SENT}
        assert lock(unique, results[CHUNK_SIZE]) == (None, None)

    def test_list_pushed_again_sends_missing_jobs_only(self, unique, faktory):
        faktory.errors = {"jid-00000003": PushStatus.UNKNOWN}
        jobs = [job(n) for n in range(CHUNK_SIZE + 100)]
        unique.push(jobs, faktory)
        faktory.errors = {}
        results = unique.push(jobs, faktory)
        assert sum(r.status is PushStatus.DUPLICATE for r in results) == CHUNK_SIZE - 1
        assert results[3].jid != "jid-00000003"
        assert all(results[CHUNK_SIZE:])

    def test_unique_and_other_jobs_are_sent_together_in_order(self, unique, faktory):
        jobs = [job(1), job(2, jobtype="Other"), job(3)]
        results = unique.push(jobs, faktory)
        assert [[j["jid"] for j in batch] for batch in faktory.received] == [
            ["jid-00000001", "jid-00000002", "jid-00000003"]
        ]
        assert [r.key is None for r in results] == [False, True, False]

    def test_batch_of_duplicates_sends_nothing(self, unique, faktory):
        unique.push([job(1, "holder-01")], faktory)
        faktory.received.clear()
        unique.push([job(1, "jid-a-000")], faktory)
        assert faktory.received == []

    def test_repeated_jid_is_refused_before_the_push(self, unique, faktory):
        with pytest.raises(InvalidJob, match=r"jobs\[1\]\.jid: 'jid-a-000' occurs twice"):
            unique.push([job(1, "jid-a-000"), job(2, "jid-a-000")], faktory)
        assert faktory.received == []

    def test_invalid_job_refuses_the_batch_before_the_push(self, unique, faktory):
        with pytest.raises(InvalidJob, match=r"^jobs\[1\]\.args\[0\]: nan is not JSON"):
            unique.push([job(1), job(2, args=[float("nan")])], faktory)
        assert faktory.received == []
        assert unique._context.store._locks == {}

    def test_non_json_is_refused_before_any_chunk_is_pushed(self, unique, faktory):
        """Also in a job that is not unique."""
        jobs = [*(job(n) for n in range(1200)), job(1200, jobtype="Other", args=[float("nan")])]
        with pytest.raises(InvalidJob):
            unique.push(jobs, faktory)
        assert faktory.received == []

    def test_failed_renewal_keeps_the_lease_of_an_earlier_push(self, faktory):
        """The earlier push may have arrived."""

        class FailsRenewals(MemoryStore):
            def run(self, transitions):
                found = super().run(transitions)
                if any(
                    len(transition.expected) == 2 and transition.value for transition in transitions
                ):
                    error = StoreError("out of memory")
                    error.done = tuple(transitions)
                    raise error
                return found

        unique = Unique(FailsRenewals(), default=Policy())
        faktory.errors = {"jid-00000001": PushStatus.UNKNOWN}
        [first] = unique.push([job()], faktory)
        with pytest.raises(StoreError):
            unique.push([job()], faktory)
        assert lock(unique, first)[0] == "jid-00000001?"

    def test_empty_batch_has_no_results(self, unique, faktory):
        assert unique.push([], faktory) == []


class TestStoreAway:
    def test_store_away_at_acquire_pushes_nothing(self, faktory):
        unique = Unique(FailingStore(fail_at={1}), default=Policy())
        with pytest.raises(StoreUnavailable):
            unique.push([job()], faktory)
        assert faktory.received == []

    def test_store_away_at_a_later_acquire_reports_pushed_jobs(self, faktory):
        unique = Unique(FailingStore(fail_at={2}), default=Policy())
        with pytest.raises(StoreUnavailable) as caught:
            unique.push([job(n) for n in range(CHUNK_SIZE + 50)], faktory)
        results = caught.value.results
        statuses = [r.status for r in results]
        assert statuses == [PushStatus.PUSHED] * CHUNK_SIZE + [PushStatus.NOT_SENT] * 50
        assert lock(unique, results[0])[0] == "jid-00000000"

    def test_store_away_at_the_confirm_still_reports_pushed(self, faktory, caplog):
        """The push happened: an error would make the caller push again."""
        unique = Unique(FailingStore(fail_at={2}), default=Policy(lease=30))
        [result] = unique.push([job()], faktory)
        assert result
        assert (result.confirmed, result.retry_after) == (False, 30)
        assert "store_error" in caplog.text

    def test_partly_failed_acquire_is_rolled_back(self, faktory):
        """The store is out of memory for one key of two: the other must not stay locked."""

        class FailsHalf(MemoryStore):
            def run(self, transitions):
                if len(transitions) == 2 and all(
                    transition.expected == (None,) for transition in transitions
                ):
                    super().run(transitions[:1])
                    error = StoreError("out of memory")
                    error.done = (transitions[0],)
                    raise error
                return super().run(transitions)

        unique = Unique(FailsHalf(), default=Policy())
        with pytest.raises(StoreError, match="out of memory"):
            unique.push([job(1), job(2)], faktory)
        assert unique._context.store._locks == {}


class TestOtherMiddleware:
    """Middleware inside of `Unique` may veto, raise, or return results of its own."""

    def test_veto_rolls_the_lock_back(self, unique):
        def veto(_jobs):
            raise InvalidJob("not today")

        with pytest.raises(InvalidJob):
            unique.push([job()], veto)
        assert unique._context.store._locks == {}

    @pytest.mark.parametrize("error", [RuntimeError, CommandNotSent, KeyboardInterrupt])
    def test_other_error_keeps_the_lease_and_remembers_the_jid(self, unique, faktory, error):
        """It may have been raised after the job was sent."""

        def fail(_jobs):
            raise error

        with pytest.raises(error):
            unique.push([job()], fail)
        [again] = unique.push([job()], faktory)
        assert again.jid != "jid-00000001"

    def test_wrong_number_of_results_is_an_error(self, unique):
        with pytest.raises(RuntimeError, match="0 results for 1 jobs"):
            unique.push([job()], lambda _jobs: [])

    def test_result_that_is_no_push_rolls_the_lock_back(self, unique, faktory):
        faktory.errors = {"jid-00000001": PushStatus.DUPLICATE}
        [result] = unique.push([job()], faktory)
        assert lock(unique, result) == (None, None)


def test_push_longer_than_its_lease_emits_lapsed(faktory, clock, caplog):
    store = MemoryStore(clock)
    store.now = clock
    unique = Unique(store, {"Email": Policy(ttl=600, lease=30)})

    def be_slow(_jobs):
        clock.now += 30

    faktory.meanwhile = be_slow
    [result] = unique.push([job()], faktory)
    assert result
    assert not result.confirmed
    assert "lapsed: jobtype=" in caplog.text


@pytest.mark.parametrize("kind", ["unknown", "arrived"])
def test_push_history_is_bounded_and_forgets_the_oldest(kind):
    pushes = PushHistory(limit=2)
    record, is_known = {
        "unknown": (lambda jid: pushes.record_unknown(jid, "owner"), pushes.is_unknown),
        "arrived": (pushes.record_pushed, pushes.was_pushed),
    }[kind]
    for jid in ("a", "b", "a", "c"):
        record(jid)
    assert [is_known("a"), is_known("b"), is_known("c")] == [True, False, True]


@pytest.mark.parametrize("earlier", [[], [lose_reply]], ids=["pushed", "unknown, then pushed"])
def test_job_pushed_again_after_release_is_new_work(unique, faktory, earlier):
    """Its first copy may still run (until="start"): one jid sent twice destroys reservations.

    Nor may the new work have the old owner: the late ACK of the first would release its lock.
    """
    for call_next in earlier:
        unique.push([job()], call_next)
    [first] = unique.push([job()], faktory)
    assert lock(unique, first)[0] == "jid-00000001" == first.submitted_jid
    unique._context.store.run([release_transition(first.key, "jid-00000001")])
    [second] = unique.push([job()], faktory)
    assert second
    assert second.jid not in {"jid-00000001", first.jid}
    assert faktory.jids == [first.jid, second.jid]
    assert lock(unique, second)[0] == second.jid
    assert faktory.received[1][0]["custom"]["unique"]["owner"] == second.jid
    unique._context.store.run([release_transition(first.key, "jid-00000001")])
    assert lock(unique, second)[0] == second.jid


def test_new_work_of_unknown_outcome_can_be_retried(unique, faktory):
    """The caller retries after `PushOutcomeUnknown`: the lease in the way is this work's own."""
    [first] = unique.push([job()], faktory)
    unique._context.store.run([release_transition(first.key, first.jid)])
    [lost] = unique.push([job()], lose_reply)
    [again] = unique.push([job()], faktory)
    assert again
    assert again.jid not in {first.jid, lost.jid}
    assert lock(unique, again)[0] == faktory.received[1][0]["custom"]["unique"]["owner"] == lost.jid


def test_job_pushed_again_is_a_duplicate_of_itself(unique, faktory):
    [first] = unique.push([job()], faktory)
    [second] = unique.push([job()], faktory)
    assert (second.status, second.jid, second.submitted_jid) == (
        PushStatus.DUPLICATE,
        first.jid,
        first.jid,
    )


def test_confirm_after_a_fast_worker_and_a_new_holder_is_fine(unique, faktory):
    def work(jobs):
        stamp = jobs[0]["custom"]["unique"]
        unique._context.store.run([release_transition(stamp["key"], stamp["owner"])])
        unique._context.store.run([acquire_transition(stamp["key"], "another-jid", 30)])

    faktory.meanwhile = work
    [result] = unique.push([job()], faktory)
    assert (bool(result), result.confirmed) == (True, True)
