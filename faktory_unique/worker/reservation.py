"""A fetched job, and what may still be said of it to the server.

The server keys reservations by jid alone and answers +OK to an ACK that comes after the reservation
has expired (manager/working.go of Faktory 1.10): such an ACK can end another worker's run of the
same job. So a report is sent only while the reservation is ours, or can only just have expired.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from faktory_unique.client.server_errors import is_for_now, is_refusal
from faktory_unique.errors import (
    CommandNotSent,
    CommandOutcomeUnknown,
    CommandRefused,
    FaktoryError,
)
from faktory_unique.locks.server_rules import (
    LATE_GRACE,
    RESEND_GRACE,
    FailureOutcome,
    ReservationPhase,
    failure_outcome,
    reservation_phase,
    reserve_for,
)
from faktory_unique.middleware import JobError, Payload, ReportStatus

from .requeue import copy_due_in

if TYPE_CHECKING:
    import threading

    from faktory_unique.client.client import Client

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0

# The server works on a command for 5 s (server/server.go:399). Who waits longer for a FAIL's answer
# has no time left to send it again.
_FAIL_TIMEOUT = 6.0


class Reservation:
    """A job as this worker holds it.

    Args:
        client: reports to the server that gave it.
        job: the payload as fetched.
        since: when FETCH was about to be sent, as `(time.monotonic(), client.now())`: the server's
            own clock for it starts later.
        giving_up: set when the worker has no more time to repeat a report that failed.
    """

    def __init__(
        self,
        client: Client,
        job: Payload,
        since: tuple[float, float],
        giving_up: threading.Event,
    ) -> None:
        self.job = job
        self._client = client
        self._commands = client._commands  # noqa: SLF001  # internal
        self._since = since
        self._giving_up = giving_up

    def elapsed(self) -> float:
        """Seconds since before FETCH, by the clock that moved more: one may stop in a suspend."""
        monotonic, wall = self._since
        return max(time.monotonic() - monotonic, self._client.now() - wall)

    def ack(self, job: Payload) -> ReportStatus:
        """ACK, repeated on a fresh connection while the reservation is ours for certain."""
        return self._ack(job, reserve_for(self.job) + LATE_GRACE)

    def fail(self, job: Payload, error: JobError) -> ReportStatus:
        """FAIL; repeated, where it is not answered, for as long as nobody else can have the job.

        A job that has failed is back in its queue after 15 s at the soonest.
        """
        command = "FAIL " + json.dumps(
            {
                "jid": job["jid"],
                "errtype": error.errtype,
                "message": error.message,
                "backtrace": error.backtrace,
            }
        )
        last = reserve_for(self.job) + LATE_GRACE
        answer, pauses = ReportStatus.WITHHELD, _Pauses(self._giving_up)
        while self.elapsed() < last:
            asked = self.elapsed()
            try:
                reply = self._call(command, last, timeout=_FAIL_TIMEOUT)
            except CommandNotSent:
                pass
            except CommandRefused as exc:
                # After a FAIL that was not answered: it had arrived, and the job is gone by it.
                found = "Job not found" not in str(exc) or answer is ReportStatus.WITHHELD
                return ReportStatus.REFUSED if found else self._accepted()
            except FaktoryError:
                if answer is ReportStatus.WITHHELD:
                    answer, last = ReportStatus.UNKNOWN, min(last, asked + RESEND_GRACE)
            else:
                return self._accepted() if reply == "+OK" else ReportStatus.UNKNOWN
            if not pauses.wait():
                break
        return answer

    def requeue(self, job: Payload, delay: float) -> ReportStatus:
        """Pushes a copy that is due in `delay` seconds and acknowledges this one.

        The copy has a jid of its own: two of one jid destroy each other's reservation. What is
        uncertain is left to the expiry, unless that would be the job's end: then another copy is
        pushed, and the work may be done twice.

        Returns:
            ACCEPTED when both were answered; REFUSED when the copy was, and this job is untouched.
        """
        answer, pauses = ReportStatus.WITHHELD, _Pauses(self._giving_up)
        last_chance = failure_outcome(self.job) is not FailureOutcome.RETRIED
        while self.elapsed() < reserve_for(self.job):
            try:
                answer = self._push(copy_due_in(job, delay, self._client.now()))
            except CommandNotSent:
                pass
            else:
                if answer is ReportStatus.ACCEPTED:
                    answer = self._ack(job, reserve_for(self.job))
                    # There is a copy: no refusal of this ACK may end in a FAIL on top.
                    return ReportStatus.UNKNOWN if answer is ReportStatus.REFUSED else answer
                if not last_chance:
                    break
            if not pauses.wait():
                break
        return answer

    def _push(self, copy: Payload) -> ReportStatus:
        """PUSHB of a copy; CommandNotSent is raised."""
        try:
            not_after = self._not_after(reserve_for(self.job))
            error = self._commands.push_batch([copy], not_after=not_after).get(copy["jid"])
        except CommandOutcomeUnknown:
            return ReportStatus.UNKNOWN
        except CommandRefused as exc:
            error = str(exc)
            if is_for_now(error):
                raise CommandNotSent(error) from exc
        if error is None:
            return ReportStatus.ACCEPTED
        return ReportStatus.REFUSED if is_refusal(error) else ReportStatus.UNKNOWN

    def _ack(self, job: Payload, last: float) -> ReportStatus:
        """ACK, not sent later than `last` seconds after FETCH."""
        command = f"ACK {json.dumps({'jid': job['jid']})}"
        answer, pauses = ReportStatus.WITHHELD, _Pauses(self._giving_up)
        while self.elapsed() < last:
            try:
                reply = self._call(command, last)
            except CommandNotSent:
                pass
            except CommandRefused:
                return ReportStatus.REFUSED
            except FaktoryError:
                answer = ReportStatus.UNKNOWN
                if reservation_phase(self.job, self.elapsed()) is not ReservationPhase.IN_TIME:
                    break
            else:
                return self._accepted() if reply == "+OK" else ReportStatus.UNKNOWN
            if not pauses.wait():
                break
        return answer

    def _call(self, command: str, last: float, timeout: float | None = None) -> str:
        try:
            return self._commands.call(command, not_after=self._not_after(last), at_most=timeout)
        except CommandRefused as exc:
            if is_for_now(str(exc)):  # the next server will take it
                raise CommandNotSent(str(exc)) from exc
            raise

    def _not_after(self, last: float) -> float:
        """The `time.monotonic` from which on more than `last` seconds have passed since FETCH."""
        return time.monotonic() + last - self.elapsed()

    def _accepted(self) -> ReportStatus:
        return (
            ReportStatus.ACCEPTED
            if reservation_phase(self.job, self.elapsed()) is ReservationPhase.IN_TIME
            else ReportStatus.LATE
        )


class _Pauses:
    """Ever longer pauses between attempts, until the worker gives up; then there is a last one."""

    def __init__(self, giving_up: threading.Event) -> None:
        self._giving_up = giving_up
        self._next = _FIRST_PAUSE
        self._was_last = giving_up.is_set()

    def wait(self) -> bool:
        """Whether to try again."""
        if self._was_last:
            return False
        self._was_last = self._giving_up.wait(self._next)
        self._next = min(self._next * 2, _LONGEST_PAUSE)
        return True
