"""What becomes of a fetched job, apart from where its handler runs.

A job is begun (the fetch middleware decides), perhaps performed, and settled: acknowledged, failed
or put back, through the chain. A consumer performs in a pool of processes; `testing` in this one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from faktory_unique.chain import Answer, Drop, JobError, PutBack, Run, compose

from .perform import job_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faktory_unique.chain import FetchAnswer, Middleware, Payload

    from .reservation import Reservation

log = logging.getLogger("faktory_unique")


@dataclass(frozen=True, slots=True)
class Perform:
    """The job is to run: its handler, and whether the jid comes before its args."""

    handler: Callable[..., object]
    bind: bool


@dataclass(frozen=True, slots=True)
class End:
    """The job is over: to be acknowledged, or failed where there is an error."""

    error: JobError | None = None


Settlement: TypeAlias = End | PutBack


def settlement(came_to: JobError | PutBack | None) -> Settlement:
    """What is to be done with a job whose handler came to this."""
    return came_to if isinstance(came_to, PutBack) else End(came_to)


class Handling:
    """How one consumer's jobs are begun and settled. Nothing here raises: each job is on its own.

    Args:
        middleware: the chain, the first outermost.
        handlers: handler and `bind` of each jobtype; read anew for each job.
    """

    def __init__(
        self,
        middleware: Sequence[Middleware],
        handlers: Mapping[str, tuple[Callable[..., object], bool]],
    ) -> None:
        self._middleware = middleware
        self._handlers = handlers
        self._decide = compose(middleware, "fetch", _run)

    def begin(self, job: Payload) -> Perform | Settlement:
        """What is to be done with a fetched job: what the fetch middleware decides."""
        try:
            handler, bind = self._handlers[job["jobtype"]]
        except KeyError:
            return End(JobError("NoHandler", f"no handler is registered for {job['jobtype']!r}"))
        try:
            decision = self._decide(job)
        except BaseException as exc:  # noqa: BLE001  # a middleware's sys.exit() costs that job alone
            return self.not_begun(job, exc)
        match decision:
            case Run():
                return Perform(handler, bind)
            case Drop(reason):
                log.info("job dropped: jobtype=%s jid=%s: %s", job["jobtype"], job["jid"], reason)
                return End()
            case PutBack():
                return decision
        # From a middleware that is not type-checked.
        told = f"a fetch middleware answered {decision!r}"  # type: ignore[unreachable]
        return End(JobError("TypeError", told))

    def not_begun(self, job: Payload, exc: BaseException) -> End:
        """What is to be done with a job that an exception kept from running."""
        log.error(
            "job could not be begun: jobtype=%s jid=%s", job["jobtype"], job["jid"], exc_info=exc
        )
        return End(job_error(exc))

    def settle(self, reservation: Reservation, settlement: Settlement) -> Answer:
        """ACK, FAIL or put back, through the chain; what is known of it then."""
        job = reservation.job
        try:
            if isinstance(settlement, PutBack):
                return self._put_back(reservation, settlement.delay)
            return self._end(reservation, settlement.error)
        except BaseException:  # it would end the pool's thread, and with it all jobs in flight
            log.exception("job was not reported: jobtype=%s jid=%s", job["jobtype"], job["jid"])
            return Answer.UNKNOWN

    def _end(self, reservation: Reservation, error: JobError | None) -> Answer:
        job = reservation.job
        if error is None:
            answer = compose(self._middleware, "ack", reservation.ack)(job)
        else:
            log.warning(
                "job failed: jobtype=%s jid=%s: %s", job["jobtype"], job["jid"], error.errtype
            )
            answer = compose(self._middleware, "fail", reservation.fail)(job, error)
        if answer is not Answer.ACCEPTED:
            log.warning(
                "%s of jid=%s: %s", "ACK" if error is None else "FAIL", job["jid"], answer.value
            )
        return answer

    def _put_back(self, reservation: Reservation, delay: float) -> Answer:
        answer = compose(self._middleware, "put_back", reservation.put_back)(reservation.job, delay)
        if answer is Answer.REFUSED:
            return self._end(reservation, JobError("PutBackRefused", "Faktory refused the copy"))
        log.info("job put back for %.1f s: jid=%s: %s", delay, reservation.job["jid"], answer.value)
        return answer


def _run(_job: Payload) -> FetchAnswer:
    return Run()
