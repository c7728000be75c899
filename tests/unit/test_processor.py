"""The log lines of failed and requeued jobs."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from faktory_unique import JobError, Middleware, ReportStatus, Requeue
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
