"""One reserved job through a consumer's whole chain, in the thread that asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faktory_unique.middleware import Middleware, ReportStatus, Requeue
from faktory_unique.worker.perform import perform
from faktory_unique.worker.processor import Perform, settlement

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.middleware import JobError, Payload
    from faktory_unique.worker.consumer import Consumer
    from faktory_unique.worker.reservation import Reservation


@dataclass(frozen=True, slots=True)
class JobRun:
    """What became of one job; true when its handler ran and returned.

    Attributes:
        job: the payload as it was fetched.
        ran: whether the handler ran: middleware can put a job back or drop it.
        delay: seconds until it is due again, where it was put back; None where it was not.
        error: why the job failed, as Faktory was told; None when it did not.
        answer: what Faktory said to the ACK, the FAIL or the put-back.
    """

    job: Payload
    ran: bool
    error: JobError | None
    answer: ReportStatus
    delay: float | None = None

    def __bool__(self) -> bool:
        return self.ran and self.error is None and self.delay is None


def work(
    consumer: Consumer, reservation: Reservation, settling: Callable[[], None]
) -> tuple[JobRun, BaseException | None]:
    """Begins, performs and settles a job; what became of it, and what its handler raised.

    Args:
        consumer: its chain and handlers count.
        reservation: the job.
        settling: called before it is settled.

    Raises:
        BaseException: the handler raised what is no `Exception` and no `SystemExit`: a Ctrl-C, or
            `pytest.fail()`. It is meant for who runs this; the job has failed all the same.
    """
    job, witness = reservation.job, _Witness()
    step = consumer.handling.begin(job)
    ran = isinstance(step, Perform)
    if isinstance(step, Perform):
        came_to = perform(
            [witness, *consumer.performing],
            step.handler,
            job,
            bind=step.bind,
            tell_sentry=consumer.sentry_capture_exception,
        )
        step = settlement(came_to)
    settling()
    answer = consumer.handling.settle(reservation, step)
    raised = witness.raised
    if not isinstance(raised, Exception | SystemExit | None):
        raise raised
    if isinstance(step, Requeue):
        return JobRun(job, ran, None, answer, step.delay), None
    return JobRun(job, ran, step.error, answer), raised


class _Witness(Middleware):
    """Keeps the exception that Faktory is told of in words alone."""

    def __init__(self) -> None:
        self.raised: BaseException | None = None

    def perform(self, job: Payload, call_next: Callable[[Payload], object]) -> object:
        try:
            return call_next(job)
        except BaseException as exc:
            self.raised = exc
            raise
