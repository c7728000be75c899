"""Push, run, acknowledge and release on a real Faktory and a real Redis; invalid jobs."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from faktory_unique import (
    Client,
    InvalidJob,
    Job,
    Middleware,
    Policy,
    Producer,
    PushRefused,
    PushStatus,
    Unique,
)


def test_equal_job_is_a_duplicate_while_the_first_waits(producer, note_job, sizes, locks):
    first = producer.push(note_job())
    again = producer.push(note_job())
    assert first
    assert not again
    assert again.jid == first.jid
    assert sizes("enqueued") == 1
    assert locks() == {first.key: first.jid}


def test_job_with_other_args_is_pushed(producer, note_job, sizes):
    assert producer.push(note_job("one"))
    assert producer.push(note_job("two"))
    assert sizes("enqueued") == 2


def test_equal_job_is_pushed_after_the_ack(
    producer, unique, note_job, working, wait_for, locks, notes
):
    with working(unique):
        first = producer.push(note_job())
        wait_for(lambda: not locks())
        second = producer.push(note_job())
        wait_for(lambda: not locks())
    assert second
    assert second.jid != first.jid
    assert notes() == ["ran", "ran"]


def test_equal_job_is_pushed_after_the_ttl(client, redis_url, note_job, wait_for):
    unique = Unique(store=redis_url, default=Policy(ttl=1))
    producer = Producer(client, middleware=[unique])
    assert producer.push(note_job())
    assert not producer.push(note_job())
    time.sleep(1.1)
    assert producer.push(note_job())


def test_equal_job_is_a_duplicate_while_the_first_runs(
    producer, unique, notes, working, wait_for, locks
):
    job = Job(jobtype="Unique.note_slowly", args=[notes.path, 0.5])
    with working(unique):
        first = producer.push(job)
        wait_for(lambda: "started" in notes())
        again = producer.push(job.model_copy(update={"jid": "another-jid"}))
        assert (again.status, again.jid) == (PushStatus.DUPLICATE, first.jid)
        wait_for(lambda: not locks())
    assert notes() == ["started", "ended"]


def test_equal_jobs_of_a_bulk_are_pushed_once(producer, note_job, sizes, locks):
    jobs = [note_job(str(n % 3)) for n in range(9)]
    bulk = producer.push_bulk(jobs)
    assert bulk == {}
    assert [bool(r) for r in bulk.results] == [True] * 3 + [False] * 6
    assert [r.jid for r in bulk.duplicates] == [r.jid for r in bulk.pushed] * 2
    assert sizes("enqueued") == 3
    assert sorted(locks().values()) == sorted(r.jid for r in bulk.pushed)


def test_bulk_of_thousands_is_pushed_and_locked(producer, note_job, sizes, locks):
    bulk = producer.push_bulk(note_job(str(n)) for n in range(2500))
    assert len(bulk.pushed) == sizes("enqueued") == len(locks()) == 2500


def test_held_lock_has_the_policys_ttl(producer, note_job, lock_ttl):
    assert 598 <= lock_ttl(producer.push(note_job()).key) <= 600


def test_lock_of_a_scheduled_job_lasts_for_its_delay_too(producer, note_job, lock_ttl, sizes):
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    result = producer.push(note_job(at=at))
    assert 3600 + 10 + 598 <= lock_ttl(result.key) <= 3600 + 10 + 600
    assert sizes("scheduled") == 1


def test_stamp_reaches_the_worker_unchanged(producer, note_job, faktory_url):
    """The server rewrites numbers in args and custom, but no strings."""
    result = producer.push(note_job())
    with Client(faktory_url, role="consumer", worker_id="test-worker-2") as consumer:
        stamp = consumer._fetch(["default"])["custom"]["unique"]
    assert stamp == {
        "v": 2,
        "key": result.key,
        "owner": result.jid,
        "until": "success",
        "ttl": 600,
    }


def test_push_does_not_change_the_callers_job(producer, note_job):
    job = note_job(custom={"trace": "t"})
    before = job.model_dump_json()
    producer.push(job)
    assert job.model_dump_json() == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"queue": "no/slash"}, "queue: 'no/slash' is not a queue name"),
        ({"jid": "short"}, "jid: 'short' is not Unicode text of 8 to 512 bytes"),
        ({"jid": "long-enough?"}, "ends in '\\?'"),
        ({"reserve_for": 86_401}, "reserve_for: 86401 is more than a day"),
        ({"jobtype": ""}, "jobtype: '' is not Unicode text of 1 to 512 bytes"),
        ({"args": [0, 1, {"when": datetime.now(UTC)}]}, r"args\[2\]\.when: datetime is not JSON"),
        ({"args": [2**53]}, r"args\[0\]: 9007199254740992"),
        ({"custom": {"when": datetime.now(UTC)}}, "custom: .*datetime"),
    ],
)
def test_invalid_job_is_refused_before_its_lock_is_acquired(
    client, redis_url, note_job, locks, sizes, fields, message
):
    """Faktory would refuse or lose it."""
    producer = Producer(client, middleware=[Unique(store=redis_url, default=Policy())])
    job = note_job().model_copy(update=fields)
    with pytest.raises(InvalidJob, match=message):
        producer.push(job)
    assert locks() == {}
    assert sizes("enqueued") == 0


def test_scheduled_job_with_a_bad_queue_is_refused(producer, note_job, sizes):
    """The server replies +OK to it, and drops it when it is due (facts §1)."""
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    with pytest.raises(InvalidJob):
        producer.push(note_job(at=at, queue="bad queue"))
    assert sizes("scheduled") == 0


class Spoil(Middleware):
    """Gives some jobs a queue name that the server refuses, after `Unique` has checked them."""

    def __init__(self, *texts):
        self.texts = texts

    def push(self, jobs, call_next):
        return call_next(
            [{**job, "queue": "no/slash"} if job["args"][1] in self.texts else job for job in jobs]
        )


def test_refused_push_raises_and_leaves_no_lock(client, unique, note_job, locks, sizes):
    producer = Producer(client, middleware=[unique, Spoil("bad")])
    with pytest.raises(PushRefused, match="queue names must match") as caught:
        producer.push(note_job("bad"))
    assert [r.status for r in caught.value.results] == [PushStatus.REFUSED]
    assert locks() == {}
    assert sizes("enqueued") == 0


def test_bulk_returns_the_refused_jobs_as_pyfaktory_does(client, unique, note_job, locks):
    producer = Producer(client, middleware=[unique, Spoil("bad")])
    jobs = [note_job("good"), note_job("bad"), note_job("fine")]
    bulk = producer.push_bulk(jobs)
    assert list(bulk) == [jobs[1].jid]
    assert "queue names must match" in bulk[jobs[1].jid]
    assert sorted(locks().values()) == sorted([jobs[0].jid, jobs[2].jid])


def test_refused_command_refuses_each_job(client, unique, note_job, locks):
    class NoBatch(Middleware):
        def push(self, jobs, call_next):
            return call_next([{**job, "retry": "many"} for job in jobs])

    producer = Producer(client, middleware=[unique, NoBatch()])
    bulk = producer.push_bulk([note_job("one"), note_job("two")])
    assert [("invalid JSON" in error) for error in bulk.values()] == [True, True]
    assert locks() == {}


def test_job_without_a_policy_is_pushed_without_a_lock(producer, sizes, locks):
    for _ in range(2):
        result = producer.push(Job(jobtype="Plain", args=[1]))
        assert result
        assert result.key is None
    assert sizes("enqueued") == 2
    assert locks() == {}


def test_every_push_is_sent_with_its_own_retry(producer, faktory_url):
    """Every push is a PUSHB. PUSH has a race in the server: `retry` 25 can be stored as 0."""
    producer.push(Job(jobtype="Plain", args=[], retry=3))
    with Client(faktory_url, role="consumer", worker_id="test-worker-3") as consumer:
        assert consumer._fetch(["default"])["retry"] == 3


def test_empty_bulk_sends_nothing(producer):
    assert producer.push_bulk([]).results == ()


def test_failed_job_keeps_its_lock(producer, unique, working, wait_for, sizes, locks):
    """It waits for its retry, so an equal job is a duplicate."""
    job = Job(jobtype="Unique.fail", args=["boom"])
    with working(unique):
        result = producer.push(job)
        wait_for(lambda: sizes("retries") == 1)
        assert locks() == {result.key: result.jid}
        assert not producer.push(Job(jobtype="Unique.fail", args=["boom"]))


def test_key_has_the_specified_form(producer):
    """docs/design.md §6, computed here without the library."""
    result = producer.push(Job(jobtype="Unique::{x}", args=[42, "welcome", {"b": 1.0, "a": True}]))
    canonical = json.dumps(
        {"args": [42, "welcome", {"a": True, "b": 1}], "jobtype": "Unique::{x}"},
        separators=(",", ":"),
    )
    digest = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()[:16])
    assert result.key == f"unique:1:Unique::%7Bx%7D:{digest.decode().rstrip('=')}"


def test_bulk_of_a_single_job_is_a_type_error(producer):
    with pytest.raises(TypeError, match=r"push_bulk\(\[job\]\)"):
        producer.push_bulk(Job(jobtype="Unique.note", args=[]))


def test_chain_with_two_unique_is_refused(client, unique, redis_url):
    """A job has one stamp, so its worker would know only one lock."""
    with Unique(redis_url) as another, pytest.raises(ValueError, match="two Unique in one chain"):
        Producer(client, [unique, another])


@pytest.mark.parametrize("wrong", [None, {"jobtype": "Plain", "args": []}, "Plain", Job])
def test_push_of_another_type_is_a_type_error(producer, wrong):
    with pytest.raises(TypeError, match="push takes a Job, not"):
        producer.push(wrong)
