"""Runs a handler with its perform middleware; `current_job`; a failure's message and backtrace.

The result is None, a `JobError` or a `Requeue`. All of them pickle, so a child process can send any
of them to its consumer. The exception itself may not pickle.
"""

from __future__ import annotations

import traceback
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from faktory_unique.middleware import JobError, Middleware, Payload, Requeue, RetryLater, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_current_job: ContextVar[Payload | None] = ContextVar("faktory_unique_current_job", default=None)

# The server keeps this much of each (manager/retry.go of Faktory 1.10).
_MAX_ERRTYPE_LENGTH = 100
_MAX_MESSAGE_LENGTH = 1_000
_MAX_BACKTRACE_LINES = 50

JobResult: TypeAlias = JobError | Requeue | None
"""The result of a job, and the report that follows it: None is acknowledged, a `JobError` is sent
as FAIL, a `Requeue` pushes a copy."""


class HandlerCall(NamedTuple):
    """A call of a handler with a job's args.

    Attributes:
        middleware: stands around the handler, the first outermost.
        handler: the function registered for the jobtype.
        job: the payload as fetched.
        bind: whether the jid is passed before the args.
        report_to_sentry: whether an exception of the handler is reported to Sentry.
    """

    middleware: Sequence[Middleware]
    handler: Callable[..., object]
    job: Payload
    bind: bool = False
    report_to_sentry: bool = False


def current_job() -> Payload:
    """Return the payload of the job that this handler was called for, with its `jid` and `custom`.

    Its args have been through the server's JSON: they may differ from the objects pushed.

    Raises:
        LookupError: no handler is running in this thread.
    """
    job = _current_job.get()
    if job is None:
        raise LookupError("no job is running here; call current_job() in a handler only")
    return job


def perform(call: HandlerCall) -> JobResult:
    """Call the handler through its middleware.

    Returns:
        None if the handler returned, a `Requeue` if it raised `RetryLater`, else the `JobError`.
        SystemExit and KeyboardInterrupt fail the job, too.
    """
    job = call.job
    token = _current_job.set(job)
    try:
        compose(call.middleware, "perform", partial(_call, call.handler, bind=call.bind))(job)
    except RetryLater as later:
        return later.requeue
    except BaseException as exc:  # noqa: BLE001  # a handler's sys.exit() costs that job alone
        if call.report_to_sentry:
            _report_to_sentry(exc)
        return job_error(exc, job.get("backtrace", _MAX_BACKTRACE_LINES))
    finally:
        _current_job.reset(token)
    return None


def _call(handler: Callable[..., object], job: Payload, *, bind: bool) -> object:
    return handler(job["jid"], *job["args"]) if bind else handler(*job["args"])


def _report_to_sentry(exc: BaseException) -> None:
    """Report an exception here: the consumer gets only its text."""
    import sentry_sdk  # noqa: PLC0415  # the user's, as in pyfaktory

    sentry_sdk.capture_exception(exc)
    sentry_sdk.flush()


def job_error(exc: BaseException, max_lines: int = _MAX_BACKTRACE_LINES) -> JobError:
    """Return an exception as FAIL reports it, cut to the server's limits.

    Args:
        exc: the exception.
        max_lines: the number of backtrace lines to keep: the innermost.
    """
    try:
        message = str(exc)
    except Exception:  # noqa: BLE001  # its __str__ is the user's
        message = "(its message could not be read)"
    lines = traceback.format_tb(exc.__traceback__, limit=-min(max_lines, _MAX_BACKTRACE_LINES))
    backtrace = tuple(line.rstrip("\n") for line in lines)
    errtype = type(exc).__name__[:_MAX_ERRTYPE_LENGTH]
    return JobError(errtype, message[:_MAX_MESSAGE_LENGTH], backtrace)
