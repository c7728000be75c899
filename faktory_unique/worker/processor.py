"""`JobProcessor`: runs a job's fetch, ack, fail and requeue middleware, and logs failed jobs.

It does not run the handler: a consumer does that in a child process, and the testing kit in the
caller's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique._util import FirstTimes, log
from faktory_unique.locks.server_rules import (
    FailureOutcome,
    failure_outcome,
    failures_before,
    reserve_for,
    retry_backoff,
)
from faktory_unique.locks.stamp import read_stamp
from faktory_unique.middleware import (
    Drop,
    JobError,
    ReportStatus,
    Requeue,
    Run,
    compose,
    overrides,
)

from .handler_call import HandlerCall, job_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faktory_unique.middleware import FetchDecision, Middleware, Payload

    from .handler_call import JobResult
    from .reservation import Reservation


_LOGGED_OUTCOMES = {
    FailureOutcome.RETRIED: "will be retried",
    FailureOutcome.DEAD: "is dead",
    FailureOutcome.DROPPED: "is dropped",
}


class JobProcessor:
    """Starts and finishes the jobs of one consumer. It raises nothing: if a job fails, others run.

    Args:
        middleware: the chain, the first outermost.
        handlers: handler and `bind` by jobtype. It may change: each job is looked up in it.
        report_to_sentry: asked for each job whether its exception is reported to Sentry.
    """

    def __init__(
        self,
        middleware: Sequence[Middleware],
        handlers: Mapping[str, tuple[Callable[..., object], bool]],
        report_to_sentry: Callable[[], bool] = lambda: False,
    ) -> None:
        self._middleware = middleware
        self._handlers = handlers
        self._report_to_sentry = report_to_sentry
        self._perform_middleware = tuple(m for m in middleware if overrides(m, "perform"))
        self._decide = compose(middleware, "fetch", _run_decision)
        self._owns_locks = any(each.owns_locks for each in middleware)
        self._warned = FirstTimes()

    def start(self, job: Payload) -> HandlerCall | JobResult:
        """Run the fetch middleware, which decides about a fetched job.

        Returns:
            The call to perform, or a result if the handler must not run.
        """
        if not self._owns_locks:
            self._warn_of_lock(job)
        try:
            handler, bind = self._handlers[job["jobtype"]]
        except KeyError:
            return JobError("NoHandler", f"no handler is registered for {job['jobtype']!r}")
        try:
            decision = self._decide(job)
        except BaseException as exc:  # noqa: BLE001  # also a sys.exit(): only this job fails
            return self.log_start_failure(job, exc)
        match decision:
            case Run():
                return HandlerCall(
                    self._perform_middleware, handler, job, bind, self._report_to_sentry()
                )
            case Drop(reason):
                log.info(
                    'job dropped: jobtype=%s jid=%s reason="%s"', job["jobtype"], job["jid"], reason
                )
                return None
            case Requeue():
                return decision
        # A middleware that is not type-checked can return anything.
        message = f"a fetch middleware returned {decision!r}, not Run, Requeue or Drop"  # type: ignore[unreachable]
        return JobError("TypeError", message)

    def log_start_failure(self, job: Payload, exc: BaseException) -> JobError:
        """Log an exception that prevented the start of a job's handler. Return the job's result."""
        log.error(
            "job could not be started: jobtype=%s jid=%s", job["jobtype"], job["jid"], exc_info=exc
        )
        return job_error(exc)

    def finish(self, reservation: Reservation, result: JobResult) -> ReportStatus:
        """Report a job's result through the chain: ACK, FAIL, or a copy and ACK.

        Returns:
            The status of the report; UNKNOWN if a middleware raised an exception.
        """
        job = reservation.job
        try:
            if isinstance(result, Requeue):
                return self._requeue(reservation, result)
            return self._report(reservation, result)
        except BaseException:  # of a middleware, of any kind: other jobs go on
            log.exception(
                "a middleware raised an exception before or after the report was sent: "
                "jobtype=%s jid=%s",
                job["jobtype"],
                job["jid"],
            )
            return ReportStatus.UNKNOWN

    def _report(self, reservation: Reservation, error: JobError | None) -> ReportStatus:
        job = reservation.job
        if error is None:
            verb = "ACK"
            status = compose(self._middleware, "ack", reservation.ack)(job)
        else:
            verb = "FAIL"
            _log_failure(job, error)
            status = compose(self._middleware, "fail", reservation.fail)(job, error)
        _check_status(status, verb)
        if status is not ReportStatus.ACCEPTED:
            log.warning(
                "%s %s: jobtype=%s jid=%s elapsed=%.0fs reserve_for=%ds; "
                "the server runs the job again, or has already ended it",
                verb,
                status.value,
                job["jobtype"],
                job["jid"],
                reservation.elapsed(),
                reserve_for(job),
            )
        return status

    def _requeue(self, reservation: Reservation, decision: Requeue) -> ReportStatus:
        job, delay = reservation.job, decision.delay
        status = compose(self._middleware, "requeue", reservation.requeue)(job, delay)
        _check_status(status, "requeue")
        if status is ReportStatus.REFUSED:
            return self._report(reservation, JobError("RequeueRefused", "Faktory refused the copy"))
        fields = job["jobtype"], job["jid"], reservation.copy_jid, delay, decision.reason
        if status is ReportStatus.ACCEPTED:
            log.info('job requeued: jobtype=%s jid=%s new_jid=%s delay=%.1fs reason="%s"', *fields)
        else:
            log.warning(
                'requeue %s: jobtype=%s jid=%s new_jid=%s delay=%.1fs reason="%s"; '
                "the job may run twice, or again once its reservation has expired",
                status.value,
                *fields,
            )
        return status

    def _warn_of_lock(self, job: Payload) -> None:
        """Warn, once for each jobtype, of a job that has a lock: this worker has no `Unique`."""
        if read_stamp(job) is not None and self._warned.is_first(job["jobtype"]):
            log.warning(
                "locks are not released, they stay until their TTL ends: jobtype=%s; "
                "add Unique to this worker's middleware",
                job["jobtype"],
            )


def _run_decision(_job: Payload) -> FetchDecision:
    """Return the decision without middleware: run the job."""
    return Run()


def _log_failure(job: Payload, error: JobError) -> None:
    outcome, failures = failure_outcome(job), failures_before(job)
    hint = ""
    if outcome is FailureOutcome.RETRIED:
        soonest, latest = retry_backoff(failures)
        hint = f" next_in={soonest}s..{latest}s"
    if error.errtype == "NoHandler":
        hint += "; register a handler for it in this worker, or push it to another queue"
    log.warning(
        "job failed, %s: jobtype=%s jid=%s error=%s attempt=%d%s",
        _LOGGED_OUTCOMES[outcome],
        job["jobtype"],
        job["jid"],
        error.errtype,  # its type alone: the message may hold args
        failures + 1,
        hint,
    )


def _check_status(status: object, verb: str) -> None:
    """Check the return value of a middleware that need not be type-checked.

    Raises:
        TypeError: it is not a `ReportStatus`.
    """
    if not isinstance(status, ReportStatus):
        raise TypeError(
            f"a middleware's {verb.lower()} returned {status!r}; return the value of call_next"
        )
