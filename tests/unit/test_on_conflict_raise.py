"""`on_conflict="raise"`: who wants an exception where an equal job is there already."""

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


class Answering(Middleware):
    """Answers in Faktory's stead, by jid, and passes the others on."""

    def __init__(self, **answers):
        self.answers = answers

    def push(self, jobs, call_next):
        passed = [job for job in jobs if job["jid"] not in self.answers]
        pushed = {result.jid: result for result in call_next(passed)}
        return [pushed.get(job["jid"]) or self._answer(job["jid"]) for job in jobs]

    def _answer(self, jid):
        status = self.answers[jid]
        return PushResult(status=status, jid=jid, submitted_jid=jid, error=f"{status} it is")


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


def test_a_duplicate_raises_and_tells_which_job_is_there(push, faktory):
    first = push.push(email(1))
    with pytest.raises(
        DuplicateJob, match=rf"an equal job is queued or running \(jid {first.jid}\)"
    ) as caught:
        push.push(email(1))
    [result] = caught.value.results
    assert (result.status, result.jid, result.confirmed) == (PushStatus.DUPLICATE, first.jid, True)
    assert isinstance(caught.value, BatchError)
    assert len(faktory.jobs) == 1


def test_of_a_list_the_others_are_pushed_and_all_results_told(push, faktory):
    first = push.push(email(1))
    with pytest.raises(DuplicateJob, match=r"^2 of 4 jobs were not pushed") as caught:
        push.push_bulk([email(2), email(1), email(3), email(3)])
    results = caught.value.results
    assert [r.status for r in results] == ["pushed", "duplicate", "pushed", "duplicate"]
    assert [results[1].jid, results[3].jid] == [first.jid, results[2].jid]
    assert [job["args"] for job in faktory.jobs] == [[1], [2], [3]]


def test_a_list_without_a_duplicate_raises_nothing(push):
    assert len(push.push_bulk([email(1), email(2)]).pushed) == 2


def test_a_duplicate_of_another_policy_raises_nothing(push):
    push.push(email(1, "Skipped"))
    bulk = push.push_bulk([email(1, "Skipped"), email(1)])
    assert [(r.status, r.error) for r in bulk.results] == [("duplicate", None), ("pushed", None)]


@pytest.mark.parametrize(
    ("status", "error"),
    [(PushStatus.UNKNOWN, PushOutcomeUnknown), (PushStatus.NOT_SENT, PushNotSent)],
)
def test_what_may_be_there_or_was_not_tried_goes_before_it(client, unique, status, error):
    """The list is to be pushed again in both cases, and the duplicates will be told then."""
    Producer(client, [unique]).push(email(1))
    answering = Producer(client, [unique, Answering(**{"jid-lost-1": status})])
    with pytest.raises(error, match=f"{status} it is") as caught:
        answering.push_bulk([email(1), email(2, jid="jid-lost-1")])
    assert [r.status for r in caught.value.results] == ["duplicate", status]


def test_it_goes_before_what_was_refused(client, unique):
    """Which `push_bulk` returns where nothing is raised."""
    Producer(client, [unique]).push(email(1))
    answering = Producer(client, [unique, Answering(**{"jid-bad-01": PushStatus.REFUSED})])
    with pytest.raises(DuplicateJob) as caught:
        answering.push_bulk([email(2, jid="jid-bad-01"), email(1)])
    assert [r.status for r in caught.value.results] == ["refused", "duplicate"]


def test_through_the_chain_it_is_a_result_and_no_exception(unique):
    """So that each middleware sees what became of every job."""
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
