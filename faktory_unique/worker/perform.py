"""A handler's run, in a process of its own: through the middleware, and back as a plain value.

Whatever the handler does, the consumer gets None, a `JobError` or a `Requeue`, which always pickle.
An exception sent back as it is may not, and would take all jobs in flight with it.
"""

from __future__ import annotations

import traceback
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

from faktory_unique.middleware import JobError, Payload, Requeue, RetryLater, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faktory_unique.middleware import Middleware

_current_job: ContextVar[Payload | None] = ContextVar("faktory_unique_current_job", default=None)

# The server keeps this much of each (manager/retry.go of Faktory 1.10).
_LONGEST_TYPE = 100
_LONGEST_MESSAGE = 1_000
_LONGEST_BACKTRACE = 50


def current_job() -> Payload:
    """The payload of the job that this handler was called for, such as its `jid` and `custom`.

    Not the args as Python passed them at push: they have been through the server's JSON.

    Raises:
        LookupError: no handler is running here.
    """
    job = _current_job.get()
    if job is None:
        raise LookupError("current_job() is for handlers: no job is running here")
    return job


def perform(
    middleware: Sequence[Middleware],
    handler: Callable[..., object],
    job: Payload,
    *,
    bind: bool,
    tell_sentry: bool = False,
) -> JobError | Requeue | None:
    """Runs the handler with the job's args, the jid before them with `bind`.

    Returns:
        None when it returned, a `Requeue` when it raised `RetryLater`, else why it failed;
        SystemExit and KeyboardInterrupt fail it too.
    """
    token = _current_job.set(job)
    try:
        compose(middleware, "perform", partial(_call, handler, bind=bind))(job)
    except RetryLater as later:
        return later.requeue
    except BaseException as exc:  # noqa: BLE001  # a handler's sys.exit() costs that job alone
        if tell_sentry:
            _tell_sentry(exc)
        return job_error(exc, job.get("backtrace", _LONGEST_BACKTRACE))
    finally:
        _current_job.reset(token)
    return None


def _call(handler: Callable[..., object], job: Payload, *, bind: bool) -> object:
    return handler(job["jid"], *job["args"]) if bind else handler(*job["args"])


def _tell_sentry(exc: BaseException) -> None:
    """Here and not in the consumer, where nothing is left of the exception but its text."""
    import sentry_sdk  # noqa: PLC0415  # the user's, as in pyfaktory

    sentry_sdk.capture_exception(exc)
    sentry_sdk.flush()


def job_error(exc: BaseException, most_lines: int = _LONGEST_BACKTRACE) -> JobError:
    """An exception as Faktory is told of it, within the server's bounds; its innermost lines."""
    try:
        message = str(exc)
    except Exception:  # noqa: BLE001  # its __str__ is the user's
        message = "(its message could not be read)"
    lines = traceback.format_tb(exc.__traceback__, limit=-min(most_lines, _LONGEST_BACKTRACE))
    backtrace = tuple(line.rstrip("\n") for line in lines)
    return JobError(type(exc).__name__[:_LONGEST_TYPE], message[:_LONGEST_MESSAGE], backtrace)
