"""`HandlerCall`: runs a handler; `current_job`; the error type and backtrace of a failure.

The result is None, a `JobError` or a `Requeue`. All of them can be pickled, so a child process can
send them to its consumer. The exception itself may not be picklable.
"""

from __future__ import annotations

import traceback
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from faktory_unique.middleware import (
    JobError,
    Middleware,
    Payload,
    Requeue,
    RetryLater,
    compose,
    running_job,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The server keeps no more of each (manager/retry.go of Faktory 1.10).
_MAX_ERRTYPE_LENGTH = 100
_MAX_MESSAGE_LENGTH = 1_000
_MAX_BACKTRACE_LINES = 50

JobResult: TypeAlias = JobError | Requeue | None
"""The result of a job, which decides its report: after None an ACK is sent, after a `JobError` a
FAIL, after a `Requeue` a copy and an ACK."""


class HandlerCall(NamedTuple):
    """A call of a handler with a job's args.

    Attributes:
        middleware: those that wrap the handler, the first outermost.
        handler: the function registered for the jobtype.
        job: the payload as fetched.
        bind: whether the jid is passed before the args.
        report_to_sentry: whether an exception is reported to Sentry.
    """

    middleware: Sequence[Middleware]
    handler: Callable[..., object]
    job: Payload
    bind: bool = False
    report_to_sentry: bool = False


def current_job() -> Payload:
    """Return the payload of the job for which this handler was called, with its `jid` and `custom`.

    Its args were JSON on the server: they may differ from the objects that were pushed.

    Raises:
        LookupError: no handler is running in this thread.
    """
    job = running_job.get()
    if job is None:
        raise LookupError("no job is running in this thread; call current_job() in a handler only")
    return job


def perform(call: HandlerCall) -> JobResult:
    """Call the handler through its middleware.

    Returns:
        None if the handler returned, a `Requeue` if it raised `RetryLater`, else the `JobError`.
        SystemExit and KeyboardInterrupt fail the job, too.
    """
    job = call.job
    token = running_job.set(job)
    try:
        compose(call.middleware, "perform", partial(_call_handler, call.handler, bind=call.bind))(
            job
        )
    except RetryLater as later:
        return later.requeue
    except BaseException as exc:  # noqa: BLE001  # also sys.exit() in a handler: only its job fails
        if call.report_to_sentry:
            _report_to_sentry(exc)
        return job_error(exc, job.get("backtrace", _MAX_BACKTRACE_LINES))
    finally:
        running_job.reset(token)
    return None


def _call_handler(handler: Callable[..., object], job: Payload, *, bind: bool) -> object:
    return handler(job["jid"], *job["args"]) if bind else handler(*job["args"])


def _report_to_sentry(exc: BaseException) -> None:
    """Report an exception from this process: the consumer receives only its text."""
    import sentry_sdk  # noqa: PLC0415  # the user's, as in pyfaktory

    sentry_sdk.capture_exception(exc)
    sentry_sdk.flush()


def job_error(exc: BaseException, max_lines: int = _MAX_BACKTRACE_LINES) -> JobError:
    """Return the `JobError` of an exception, cut to the server's limits.

    Args:
        exc: the exception.
        max_lines: the number of calls to keep in the backtrace: the innermost ones, 50 at most.
    """
    try:
        message = str(exc)
    except Exception:  # noqa: BLE001  # its __str__ is the user's
        message = "(the exception's message could not be read)"
    lines = traceback.format_tb(exc.__traceback__, limit=-min(max_lines, _MAX_BACKTRACE_LINES))
    backtrace = tuple(line.rstrip("\n") for line in lines)
    errtype = type(exc).__name__[:_MAX_ERRTYPE_LENGTH]
    return JobError(errtype, message[:_MAX_MESSAGE_LENGTH], backtrace)
