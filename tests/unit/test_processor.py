"""The log lines of failed and requeued jobs, and middleware that raises or returns nonsense."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from faktory_unique import Job, JobError, Middleware, Producer, ReportStatus, Requeue, RetryLater
from faktory_unique.testing import FakeFaktory
from faktory_unique.worker.processor import JobProcessor
from faktory_unique.worker.reservation import Reservation

JOB = {"jid": "jid-00000001", "jobtype": "Sync", "args": ["secret"]}


class Reports(Middleware):
    """Returns a status for each report without sending it."""

    def __init__(self, status):
        self.status = status

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


def run_two_jobs(broken):
    """Run the jobs "bad" and "good", which both end so that the broken method is called."""
    ran = []

    def handler(name):
        ran.append(name)
        if end := ENDS[broken.method]:
            raise end

    with FakeFaktory() as fake:
        Producer(fake.client()).push_bulk([Job(jobtype="Sync", args=[n]) for n in ("bad", "good")])
        consumer = fake.consumer(middleware=[broken])
        consumer.register("Sync", handler)
        runs = {run.job["args"][0]: run for run in fake.drain(consumer)}
    return ran, runs


@pytest.mark.parametrize("method", ENDS)
@pytest.mark.parametrize("exc", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_middleware_that_raises_affects_only_its_job(method, exc, caplog):
    """A `sys.exit()` in a middleware must not end the worker, or the jobs of other threads."""

    def fail():
        raise exc("boom")

    ran, runs = run_two_jobs(Broken(method, fail))
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
def test_report_middleware_returning_nonsense_is_named(method, returned, caplog):
    """A forgotten `return` must not read as a report that was accepted, or silently as another."""
    ran, runs = run_two_jobs(Broken(method, lambda: returned))
    assert ran == ["bad", "good"]
    assert runs["bad"].status is ReportStatus.UNKNOWN
    assert runs["good"].status is ReportStatus.ACCEPTED
    expected = f"a middleware's {method} returned {returned!r}; return the value of call_next"
    assert expected in caplog.text
