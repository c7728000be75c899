"""What becomes of a fetched job, apart from where its handler runs.

A job is begun (the fetch middleware decides), perhaps performed, and settled: acknowledged, failed
or put back, through the chain. A consumer performs in processes of its own; `testing` in this one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from faktory_unique.locks.server_rules import failure_outcome, reserve_for
from faktory_unique.locks.stamp import read_stamp
from faktory_unique.middleware import Drop, JobError, ReportStatus, Requeue, Run, compose

from .perform import job_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faktory_unique.middleware import FetchDecision, Middleware, Payload

    from .reservation import Reservation

log = logging.getLogger("faktory_unique")

_WITHOUT_HANDLER = "; this worker has no handler for it: register one, or give it another queue"


@dataclass(frozen=True, slots=True)
class Perform:
    """The job is to run: its handler, and whether the jid comes before its args."""

    handler: Callable[..., object]
    bind: bool


@dataclass(frozen=True, slots=True)
class End:
    """The job is over: to be acknowledged, or failed where there is an error."""

    error: JobError | None = None


Settlement: TypeAlias = End | Requeue


def settlement(came_to: JobError | Requeue | None) -> Settlement:
    """What is to be done with a job whose handler came to this."""
    return came_to if isinstance(came_to, Requeue) else End(came_to)


class JobProcessor:
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
        self._frees_locks = any(each.owns_locks for each in middleware)
        self._warned_of: set[str] = set()

    def begin(self, job: Payload) -> Perform | Settlement:
        """What is to be done with a fetched job: what the fetch middleware decides."""
        if not self._frees_locks:
            self._warn_of_a_lock(job)
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
            case Requeue():
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

    def settle(self, reservation: Reservation, settlement: Settlement) -> ReportStatus:
        """ACK, FAIL or put back, through the chain; what is known of it then."""
        job = reservation.job
        try:
            if isinstance(settlement, Requeue):
                return self._requeue(reservation, settlement.delay)
            return self._end(reservation, settlement.error)
        except BaseException:  # a middleware's, of whatever kind: it costs that job alone
            log.exception(
                "reporting raised, perhaps after it was done: jobtype=%s jid=%s",
                job["jobtype"],
                job["jid"],
            )
            return ReportStatus.UNKNOWN

    def _end(self, reservation: Reservation, error: JobError | None) -> ReportStatus:
        job = reservation.job
        if error is None:
            answer = compose(self._middleware, "ack", reservation.ack)(job)
        else:
            # Its type alone: the message may hold args.
            log.warning(
                "job failed: jobtype=%s jid=%s: %s: to be %s%s",
                job["jobtype"],
                job["jid"],
                error.errtype,
                failure_outcome(job).value,
                _WITHOUT_HANDLER if error.errtype == "NoHandler" else "",
            )
            answer = compose(self._middleware, "fail", reservation.fail)(job, error)
        verb = "ACK" if error is None else "FAIL"
        _check(answer, verb)
        if answer is not ReportStatus.ACCEPTED:
            log.warning(
                "%s %s: jobtype=%s jid=%s: after %.0f s of reserve_for=%d; the server runs the job "
                "again, or has ended it",
                verb,
                answer.value,
                job["jobtype"],
                job["jid"],
                reservation.elapsed(),
                reserve_for(job),
            )
        return answer

    def _warn_of_a_lock(self, job: Payload) -> None:
        """Once for each jobtype: somebody forgot that workers free the locks."""
        if read_stamp(job) is not None and job["jobtype"] not in self._warned_of:
            self._warned_of.add(job["jobtype"])
            log.warning(
                "locks of jobtype=%s are left to their TTL: this worker's middleware has no Unique",
                job["jobtype"],
            )

    def _requeue(self, reservation: Reservation, delay: float) -> ReportStatus:
        answer = compose(self._middleware, "requeue", reservation.requeue)(reservation.job, delay)
        _check(answer, "requeue")
        if answer is ReportStatus.REFUSED:
            return self._end(reservation, JobError("RequeueRefused", "Faktory refused the copy"))
        job = reservation.job
        # Any other answer than accepted: it may run twice, or be left to its reservation's expiry.
        level = logging.INFO if answer is ReportStatus.ACCEPTED else logging.WARNING
        told = job["jobtype"], job["jid"], answer.value
        log.log(level, "put-back for %.1f s: jobtype=%s jid=%s: %s", delay, *told)
        return answer


def _run(_job: Payload) -> FetchDecision:
    return Run()


def _check(answer: object, verb: str) -> None:
    """Raises TypeError for what a middleware that is not type-checked may answer."""
    if not isinstance(answer, ReportStatus):
        raise TypeError(
            f"a middleware's {verb.lower()} answered {answer!r}; return what call_next returned"
        )
