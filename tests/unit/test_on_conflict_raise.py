"""`on_conflict="raise"`: a push raises `DuplicateJob` if an equal job exists."""

from __future__ import annotations

import pytest

from faktory_unique import (
    Client,
    DuplicateJob,
    Job,
    Middleware,
    Policy,
    Producer,
    PushNotSent,
    PushOutcomeUnknown,
    PushResult,
    PushStatus,
    Unique,
)
from faktory_unique.errors import BatchError
from faktory_unique.testing import FakeFaktory
from tests.unit.push_helpers import Faktory, job


class StatusMiddleware(Middleware):
    """Returns a fixed status for some jids, and passes the other jobs on."""

    def __init__(self, **statuses):
        self.statuses = statuses

    def push(self, jobs, call_next):
        passed = [job for job in jobs if job["jid"] not in self.statuses]
        pushed = {result.jid: result for result in call_next(passed)}
        return [pushed.get(job["jid"]) or self._result(job["jid"]) for job in jobs]

    def _result(self, jid):
        status = self.statuses[jid]
        return PushResult(status=status, jid=jid, submitted_jid=jid, error=f"status {status}")


@pytest.fixture
def faktory():
    with FakeFaktory() as faktory:
        yield faktory


@pytest.fixture
def client(faktory):
    with Client(faktory.url, role="producer") as client:
        yield client


@pytest.fixture
def unique(faktory):
    policies = {"Email": Policy(on_conflict="raise"), "Skipped": Policy()}
    return Unique(faktory.store, policies)


@pytest.fixture
def push(client, unique):
    return Producer(client, [unique])


def email(n, jobtype="Email", **fields):
    return Job(jobtype=jobtype, args=[n], **fields)


def test_duplicate_raises_and_names_the_holder(push, faktory):
    first = push.push(email(1))
    with pytest.raises(
        DuplicateJob, match=rf"an equal job is queued or running \(jid {first.jid}\)"
    ) as caught:
        push.push(email(1))
    [result] = caught.value.results
    assert (result.status, result.jid, result.confirmed) == (PushStatus.DUPLICATE, first.jid, True)
    assert isinstance(caught.value, BatchError)
    assert len(faktory.jobs) == 1


def test_duplicate_in_a_list_leaves_the_others_pushed(push, faktory):
    first = push.push(email(1))
    with pytest.raises(DuplicateJob, match=r"^2 of 4 jobs were not pushed") as caught:
        push.push_bulk([email(2), email(1), email(3), email(3)])
    results = caught.value.results
    assert [r.status for r in results] == ["pushed", "duplicate", "pushed", "duplicate"]
    assert [results[1].jid, results[3].jid] == [first.jid, results[2].jid]
    assert [job["args"] for job in faktory.jobs] == [[1], [2], [3]]


def test_list_without_a_duplicate_raises_nothing(push):
    assert len(push.push_bulk([email(1), email(2)]).pushed) == 2


def test_duplicate_of_another_policy_raises_nothing(push):
    push.push(email(1, "Skipped"))
    bulk = push.push_bulk([email(1, "Skipped"), email(1)])
    assert [(r.status, r.error) for r in bulk.results] == [("duplicate", None), ("pushed", None)]


@pytest.mark.parametrize(
    ("status", "error"),
    [(PushStatus.UNKNOWN, PushOutcomeUnknown), (PushStatus.NOT_SENT, PushNotSent)],
)
def test_unknown_or_unsent_job_is_raised_before_a_duplicate(client, unique, status, error):
    """In both cases the list must be pushed again, and that reports the duplicates."""
    Producer(client, [unique]).push(email(1))
    producer = Producer(client, [unique, StatusMiddleware(**{"jid-lost-1": status})])
    with pytest.raises(error, match=f"status {status}") as caught:
        producer.push_bulk([email(1), email(2, jid="jid-lost-1")])
    assert [r.status for r in caught.value.results] == ["duplicate", status]


def test_duplicate_is_raised_before_a_refused_job(client, unique):
    """`push_bulk` returns refused jobs if nothing is raised."""
    Producer(client, [unique]).push(email(1))
    producer = Producer(client, [unique, StatusMiddleware(**{"jid-bad-01": PushStatus.REFUSED})])
    with pytest.raises(DuplicateJob) as caught:
        producer.push_bulk([email(2, jid="jid-bad-01"), email(1)])
    assert [r.status for r in caught.value.results] == ["refused", "duplicate"]


def test_duplicate_in_the_chain_is_a_result(unique):
    """So each middleware sees the result of every job."""
    faktory = Faktory()
    unique.push([job(1)], faktory)
    [again] = unique.push([job(1, jid="other-jid")], faktory)
    assert (again.status, again.error) == (
        "duplicate",
        "an equal job is queued or running (jid jid-00000001)",
    )


def test_job_in_another_push_is_an_unconfirmed_duplicate(unique):
    def meanwhile(jobs):
        [again] = unique.push([job(1, jid="other-jid")], Faktory())
        assert (again.confirmed, again.retry_after) == (False, 60)
        assert again.error == "an equal job is being pushed (jid jid-00000001)"
        return Faktory()(jobs)

    assert all(unique.push([job(1)], meanwhile))
