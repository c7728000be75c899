"""The log lines of failed and requeued jobs, and middleware that raises or returns nonsense."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from faktory_unique import (
    Job,
    JobError,
    Middleware,
    Producer,
    ReportStatus,
    Requeue,
    RetryLater,
    Unique,
)
from faktory_unique.testing import FakeFaktory
from faktory_unique.worker.processor import JobProcessor
from faktory_unique.worker.reservation import Reservation

JOB = {"jid": "jid-00000001", "jobtype": "Sync", "args": ["secret"]}


class Reports(Middleware):
    """Returns a status for each report without sending it."""

    def __init__(self, status):
        self.status = status

    def ack(self, job, call_next):
        return self.status

    def fail(self, job, error, call_next):
        return self.status

    def requeue(self, job, delay, call_next):
        return self.status


class Client:
    """A client that sends nothing."""

    _commands = None
    now = staticmethod(time.time)


def logged(caplog, job, result, status=ReportStatus.ACCEPTED):
    since = time.monotonic(), time.time()
    reservation = Reservation(Client(), job, since, threading.Event())
    reservation.copy_jid = "jid-00000009"
    with caplog.at_level(logging.INFO, "faktory_unique"):
        assert JobProcessor([Reports(status)], {}).finish(reservation, result) is status
    return caplog.messages


@pytest.mark.parametrize(
    ("fields", "outcome", "rest"),
    [
        ({}, "will be retried", " attempt=1 next_in=15s..44s"),
        (
            {"failure": {"retry_count": 1}, "retry": 3},
            "will be retried",
            " attempt=3 next_in=31s..118s",
        ),
        ({"failure": {"retry_count": 1}, "retry": 2}, "is dead", " attempt=3"),
        ({"retry": 0}, "is dropped", " attempt=1"),
    ],
)
def test_a_failure_logs_outcome_attempt_and_backoff(caplog, fields, outcome, rest):
    """Not the error's message: it may hold args. The backoff of n is n⁴ + 15 + (0…29)·(n + 1)."""
    [line] = logged(caplog, {**JOB, **fields}, JobError("RuntimeError", "secret"))
    assert line == f"job failed, {outcome}: jobtype=Sync jid=jid-00000001 error=RuntimeError{rest}"


def test_failure_without_a_handler_logs_what_to_do(caplog):
    """The usual causes: a worker that was not deployed, or a queue that is another worker's."""
    [line] = logged(caplog, JOB, JobError("NoHandler", "no handler"))
    assert line.endswith("; register a handler for it in this worker, or push it to another queue")


@pytest.mark.parametrize("status", [s for s in ReportStatus if s is not ReportStatus.ACCEPTED])
@pytest.mark.parametrize(("verb", "result"), [("ACK", None), ("FAIL", JobError("E", "why"))])
def test_report_that_was_not_accepted_is_a_warning(caplog, status, verb, result):
    """The job may run again although its handler has returned: the log has to say so."""
    line = logged(caplog, {**JOB, "reserve_for": 90}, result, status)[-1]
    assert line.startswith(f"{verb} {status.value}: jobtype=Sync jid=jid-00000001 elapsed=")
    assert "reserve_for=90s; the server runs the job again" in line
    assert caplog.records[-1].levelno == logging.WARNING


def test_accepted_ack_logs_nothing(caplog):
    assert logged(caplog, JOB, None) == []


def test_a_requeue_logs_its_delay(caplog):
    assert logged(caplog, JOB, Requeue(5, "why")) == [
        'job requeued: jobtype=Sync jid=jid-00000001 new_jid=jid-00000009 delay=5.0s reason="why"'
    ]


def test_an_uncertain_requeue_is_a_warning(caplog):
    [line] = logged(caplog, JOB, Requeue(5), ReportStatus.UNKNOWN)
    assert line.startswith(
        "requeue unknown: jobtype=Sync jid=jid-00000001 new_jid=jid-00000009 delay=5.0s "
    )
    assert caplog.records[0].levelno == logging.WARNING


def test_sentry_setting_is_read_for_each_job():
    """It is a public attribute of pyfaktory's Consumer, and may be set at any time."""
    consumer = FakeFaktory().consumer()
    consumer.register("Sync", print)
    assert not consumer._processor.start(JOB).report_to_sentry
    consumer.sentry_capture_exception = True
    assert consumer._processor.start(JOB).report_to_sentry


class Broken(Middleware):
    """In one of its methods it calls a function instead of `call_next`, for the job "bad"."""

    def __init__(self, method, act):
        self.method, self.act = method, act

    def call(self, method, call_next, job, *args):
        if method == self.method and job["args"][0] == "bad":
            return self.act()
        return call_next(job, *args)

    def fetch(self, job, call_next):
        return self.call("fetch", call_next, job)

    def ack(self, job, call_next):
        return self.call("ack", call_next, job)

    def fail(self, job, error, call_next):
        return self.call("fail", call_next, job, error)

    def requeue(self, job, delay, call_next):
        return self.call("requeue", call_next, job, delay)


ENDS = {"fetch": None, "ack": None, "fail": RuntimeError("why"), "requeue": RetryLater(60)}


@pytest.fixture
def run_two_jobs():
    """Return a function that runs the jobs "bad" and "good", which both end by the broken method.

    It returns the jobs that ran, the run of each, and the fake.
    """
    with FakeFaktory() as fake:

        def run(broken):
            ran = []

            def handler(name):
                ran.append(name)
                if end := ENDS[broken.method]:
                    raise end

            jobs = [Job(jobtype="Sync", args=[name]) for name in ("bad", "good")]
            Producer(fake.client()).push_bulk(jobs)
            consumer = fake.consumer(middleware=[broken])
            consumer.register("Sync", handler)
            return ran, {run.job["args"][0]: run for run in fake.drain(consumer)}, fake

        yield run


@pytest.mark.parametrize("method", ENDS)
@pytest.mark.parametrize("exc", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_middleware_that_raises_affects_only_its_job(run_two_jobs, method, exc, caplog):
    """A `sys.exit()` in a middleware must not end the worker, or the jobs of other threads."""

    def fail():
        raise exc("boom")

    ran, runs, _ = run_two_jobs(Broken(method, fail))
    assert ran == (["good"] if method == "fetch" else ["bad", "good"])
    assert runs["good"].status is ReportStatus.ACCEPTED
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert f"jid={runs['bad'].job['jid']}" in record.getMessage()
    assert record.exc_info[0] is exc
    if method == "fetch":
        assert runs["bad"].error.errtype == exc.__name__
    else:
        assert runs["bad"].status is ReportStatus.UNKNOWN


@pytest.mark.parametrize("method", ["ack", "fail", "requeue"])
@pytest.mark.parametrize("returned", [None, True, "accepted"])
def test_report_middleware_returning_nonsense_is_named(run_two_jobs, method, returned, caplog):
    """A forgotten `return` must not read as a report that was accepted, or silently as another."""
    ran, runs, _ = run_two_jobs(Broken(method, lambda: returned))
    assert ran == ["bad", "good"]
    assert runs["bad"].status is ReportStatus.UNKNOWN
    assert runs["good"].status is ReportStatus.ACCEPTED
    expected = f"a middleware's {method} returned {returned!r}; return the value of call_next"
    assert expected in caplog.text


@pytest.mark.parametrize("returned", [None, True, "run"])
def test_fetch_middleware_returning_nonsense_fails_the_job(run_two_jobs, returned):
    """Otherwise a forgotten `return` would acknowledge each job without running it."""
    ran, runs, fake = run_two_jobs(Broken("fetch", lambda: returned))
    assert ran == ["good"]
    assert runs["bad"].error.errtype == "TypeError"
    assert f"a fetch middleware returned {returned!r}, not Run" in runs["bad"].error.message
    assert [job["args"] for job in fake.retries] == [["bad"]]


def test_job_fails_if_faktory_refuses_its_copy(run_two_jobs):
    """No copy is there, and the job must not wait for the end of its reservation (5.34)."""
    _, _, fake = run_two_jobs(Broken("requeue", lambda: ReportStatus.REFUSED))
    [failed] = fake.retries
    assert failed["args"] == ["bad"]
    assert failed["failure"]["errtype"] == "RequeueRefused"
    assert len(fake.scheduled) == 1


@pytest.mark.parametrize(("has_unique", "warned"), [(True, []), (False, ["Sync", "Other"])])
def test_worker_without_unique_warns_once_of_locks(caplog, has_unique, warned):
    """Its jobs run, but nothing releases their locks: each later push would be a duplicate."""
    with FakeFaktory() as fake:
        unique = Unique(fake.store, {"Sync": {}, "Other": {}})
        consumer = fake.consumer(middleware=[unique, Middleware()] if has_unique else [])
        jobtypes = ["Plain", "Sync", "Other", "Sync"]
        for n, jobtype in enumerate(jobtypes):
            Producer(fake.client(), middleware=[unique]).push(Job(jobtype=jobtype, args=[n]))
            consumer.register(jobtype, lambda _n: None)
        assert len(fake.drain(consumer)) == len(jobtypes)
    lines = [line for line in caplog.messages if line.startswith("locks are not released")]
    assert [line.partition("jobtype=")[2].partition(";")[0] for line in lines] == warned
