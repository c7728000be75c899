"""`JobRun`: one job and its result; `run_job` runs a job in the caller's thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faktory_unique.middleware import Middleware, ReportStatus, Requeue
from faktory_unique.worker.handler_call import HandlerCall, perform

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.middleware import JobError, Payload
    from faktory_unique.worker.consumer import Consumer
    from faktory_unique.worker.reservation import Reservation


@dataclass(frozen=True, slots=True)
class JobRun:
    """One job and its result. It is true if the handler ran and returned.

    Attributes:
        job: the payload as it was fetched.
        ran: whether the handler ran: middleware can requeue or drop the job.
        error: why the job failed, as reported to Faktory; None if it did not fail.
        status: the status of the ACK, the FAIL or the requeue.
        delay: seconds until the requeued copy is due; None if the job was not requeued.
    """

    job: Payload
    ran: bool
    error: JobError | None
    status: ReportStatus
    delay: float | None = None

    def __bool__(self) -> bool:
        return self.ran and self.error is None and self.delay is None


def is_for_test_runner(exc: BaseException) -> bool:
    """Return whether a handler's exception is for the test runner, such as a `pytest.fail()`."""
    return not isinstance(exc, Exception | SystemExit)


def run_job(
    consumer: Consumer, reservation: Reservation, before_report: Callable[[], None]
) -> tuple[JobRun, BaseException | None]:
    """Start, perform and finish a job in this thread.

    Args:
        consumer: its middleware and handlers are used.
        reservation: the fetched job.
        before_report: called before the job's result is reported.

    Returns:
        The job's run, and the exception that its handler raised, or None.

    Raises:
        BaseException: the handler raised what is meant for the test runner: not an `Exception` or
            `SystemExit`, but for example a KeyboardInterrupt or the exception of `pytest.fail()`.
            The job has failed, too.
    """
    processor = consumer._processor  # noqa: SLF001  # the testing kit runs jobs as a consumer does
    recorder = _ExceptionRecorder()
    result = processor.start(reservation.job)
    ran = isinstance(result, HandlerCall)
    if isinstance(result, HandlerCall):
        result = perform(result._replace(middleware=[recorder, *result.middleware]))
    before_report()
    status = processor.finish(reservation, result)
    raised = recorder.raised
    if raised is not None and is_for_test_runner(raised):
        raise raised
    if isinstance(result, Requeue):
        return JobRun(reservation.job, ran, None, status, result.delay), None
    return JobRun(reservation.job, ran, result, status), raised


class _ExceptionRecorder(Middleware):
    """Keeps the handler's exception: Faktory receives only its text."""

    def __init__(self) -> None:
        self.raised: BaseException | None = None

    def perform(self, job: Payload, call_next: Callable[[Payload], object]) -> object:
        try:
            return call_next(job)
        except BaseException as exc:
            self.raised = exc
            raise
