"""A handler's call, and the result that comes back of it."""

from __future__ import annotations

import pickle

import pytest
import sentry_sdk
from sentry_sdk.transport import Transport

from faktory_unique import JobError, Middleware, current_job
from faktory_unique.worker.handler_call import HandlerCall, job_error, perform

JOB = {"jid": "jid-00000001", "jobtype": "Email", "args": [1, "two"], "custom": {"a": 1}}


class UnreadableError(Exception):
    def __str__(self):
        raise RuntimeError


def raising(exc):
    def handler(*_args):
        raise exc

    return handler


def call(handler, job=JOB, **options):
    return perform(HandlerCall((), handler, job, **options))


@pytest.mark.parametrize(
    ("bind", "expected"), [(False, (1, "two")), (True, ("jid-00000001", 1, "two"))]
)
def test_a_handler_gets_the_args_after_the_jid_if_bound(bind, expected):
    got = []
    assert call(lambda *args: got.append(args), bind=bind) is None
    assert got == [expected]


def test_a_return_value_is_not_sent_back():
    """Faktory has no use for it, and it may not pickle."""
    assert call(lambda *_: lambda: None) is None


def test_a_handler_knows_its_job_while_it_runs_and_not_after():
    got = []
    call(lambda *_: got.append(current_job()))
    assert got == [JOB]
    with pytest.raises(LookupError, match="no job is running"):
        current_job()


@pytest.mark.parametrize(
    ("exc", "errtype", "message"),
    [
        (ValueError("why"), "ValueError", "why"),
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (UnreadableError(), "UnreadableError", "(the exception's message could not be read)"),
        (ValueError("x" * 5000), "ValueError", "x" * 1000),
        (type("E" * 200, (Exception,), {})("why"), "E" * 100, "why"),
    ],
)
def test_any_exception_comes_back_as_a_value_that_pickles(exc, errtype, message):
    error = call(raising(exc))
    assert (error.errtype, error.message) == (errtype, message)
    assert pickle.loads(pickle.dumps(error)) == error
    assert any("in handler" in line for line in error.backtrace)


def test_a_long_backtrace_keeps_its_innermost_lines():
    def deep(n):
        if n % 2:  # two lines, since a traceback shows a repeated line three times only
            return deep(n - 1)
        return deep(n - 1) if n else 1 / 0

    error = call(lambda *_: deep(100))
    assert len(error.backtrace) == 50
    assert "1 / 0" in "".join(error.backtrace)


@pytest.mark.parametrize(("asked", "kept"), [(0, 0), (1, 1), (2, 2), (1000, 3)])
def test_a_job_that_asks_for_fewer_lines_gets_the_innermost(asked, kept):
    error = call(raising(ValueError("why")), {**JOB, "backtrace": asked})
    assert len(error.backtrace) == kept
    assert all("in handler" in line for line in error.backtrace[-1:])


def test_middleware_stands_around_the_handler():
    class Double(Middleware):
        def perform(self, job, call_next):
            return call_next({**job, "args": job["args"] * 2})

    got = []
    perform(HandlerCall([Double()], lambda *args: got.append(args), JOB))
    assert got == [(1, "two", 1, "two")]


@pytest.mark.parametrize("report", [False, True])
def test_sentry_gets_a_report_if_the_consumer_asks_for_it(report):
    sent = []

    class Keep(Transport):
        def capture_envelope(self, envelope):
            sent.append(envelope)

    with sentry_sdk.isolation_scope():
        sentry_sdk.init("http://key@127.0.0.1:1/1", transport=Keep)
        call(raising(ValueError("why")), report_to_sentry=report)
        sentry_sdk.init()
    assert len(sent) == report


def test_an_exception_without_a_traceback_is_reported_too():
    assert job_error(ValueError("why")) == JobError("ValueError", "why", ())
