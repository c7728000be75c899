"""`Reservation`: sends ACK or FAIL for a fetched job, or requeues it, before it expires.

The server keys reservations by jid alone, and replies +OK to an ACK that comes after the
reservation has expired (manager/working.go of Faktory 1.10). Such an ACK can end another worker's
run of the same job. So a report is sent only while the reservation surely belongs to this worker,
or has expired so recently that no other worker can have the job.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from faktory_unique.client.server_errors import is_refusal
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

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0

# The server gives a command 5 s (server/server.go:399). After a longer wait for the reply to FAIL,
# there is no time left to send it again.
_FAIL_TIMEOUT_SECONDS = 6.0


class Reservation:
    """A job that this worker has fetched and not reported yet.

    Args:
        client: a client that is connected to the server that reserved the job.
        job: the payload as fetched.
        since: the time just before FETCH was sent, as `(time.monotonic(), client.now())`. The
            server starts the time of the reservation later.
        shutting_down: set when the worker has time for one more try of a failed report only.

    Attributes:
        copy_jid: the jid of the last copy that was to be pushed to requeue the job; empty without
            one.
    """

    def __init__(
        self,
        client: Client,
        job: Payload,
        since: tuple[float, float],
        shutting_down: threading.Event,
    ) -> None:
        self.job = job
        self.copy_jid = ""
        self._client = client
        self._commands = client._commands  # noqa: SLF001  # internal
        self._since = since
        self._shutting_down = shutting_down

    def elapsed(self) -> float:
        """Return the seconds since FETCH was sent, by the clock that has advanced more.

        One of the two clocks may stop while the machine is suspended.
        """
        monotonic, wall = self._since
        return max(time.monotonic() - monotonic, self._client.now() - wall)

    def ack(self, job: Payload) -> ReportStatus:
        """Send ACK. If no reply came, repeat it while the reservation surely is this worker's.

        Args:
            job: the payload as fetched.
        """
        return self._ack(job, reserve_for(self.job) + LATE_GRACE)

    def fail(self, job: Payload, error: JobError) -> ReportStatus:
        """Send FAIL. If no reply came, repeat it as long as no other worker can have the job.

        A failed job is back in its queue after 15 s at the earliest.

        Args:
            job: the payload as fetched.
            error: the error to report.
        """
        command = "FAIL " + json.dumps(
            {
                "jid": job["jid"],
                "errtype": error.errtype,
                "message": error.message,
                "backtrace": error.backtrace,
            }
        )
        limit = reserve_for(self.job) + LATE_GRACE
        status, pauses = ReportStatus.WITHHELD, _ResendPauses(self._shutting_down)
        while (sent_at := self.elapsed()) < limit:
            try:
                reply = self._call(command, limit, timeout=_FAIL_TIMEOUT_SECONDS)
            except CommandNotSent:
                pass
            except CommandRefused as exc:
                # After a FAIL without a reply, this means that it arrived and ended the job.
                arrived = "Job not found" in str(exc) and status is not ReportStatus.WITHHELD
                return self._accepted_or_late() if arrived else ReportStatus.REFUSED
            except FaktoryError:
                status, limit = ReportStatus.UNKNOWN, min(limit, sent_at + RESEND_GRACE)
            else:
                return self._status_of(reply)
            if not pauses.wait():
                break
        return status

    def requeue(self, job: Payload, delay: float) -> ReportStatus:
        """Push a copy of the job and acknowledge the job itself.

        The copy has a jid of its own: two jobs with one jid destroy each other's reservation. If
        the outcome of the push is unknown, no ACK is sent, and the server enqueues the job again
        when the reservation expires. If the expiry would end the job instead, another copy is
        pushed, and the work may be done twice.

        Args:
            job: the payload as fetched.
            delay: seconds until the copy is due.

        Returns:
            ACCEPTED if Faktory accepted both; REFUSED if it refused the copy: the job is unchanged.
        """
        limit = reserve_for(self.job)
        status, pauses = ReportStatus.WITHHELD, _ResendPauses(self._shutting_down)
        ends_by_expiry = failure_outcome(self.job) is not FailureOutcome.RETRIED
        while self.elapsed() < limit:
            copy = copy_due_in(job, delay, self._client.now())
            self.copy_jid = copy["jid"]
            try:
                status = self._push(copy)
            except CommandNotSent:
                pass
            else:
                if status is ReportStatus.ACCEPTED:
                    status = self._ack(job, limit)
                    # The copy is there: a refusal of this ACK must not lead to a FAIL as well.
                    return ReportStatus.UNKNOWN if status is ReportStatus.REFUSED else status
                if not ends_by_expiry:
                    break
            if not pauses.wait():
                break
        return status

    def _push(self, copy: Payload) -> ReportStatus:
        """Push a copy by PUSHB.

        Raises:
            CommandNotSent: PUSHB was not sent, or the server accepts no commands for now.
        """
        try:
            not_after = self._not_after(reserve_for(self.job))
            error = self._commands.push_batch([copy], not_after=not_after).get(copy["jid"])
        except CommandOutcomeUnknown:
            return ReportStatus.UNKNOWN
        except CommandRefused as exc:
            error = str(exc)
        if error is None:
            return ReportStatus.ACCEPTED
        return ReportStatus.REFUSED if is_refusal(error) else ReportStatus.UNKNOWN

    def _ack(self, job: Payload, limit: float) -> ReportStatus:
        """Send ACK, but not later than `limit` seconds after FETCH."""
        command = f"ACK {json.dumps({'jid': job['jid']})}"
        status, pauses = ReportStatus.WITHHELD, _ResendPauses(self._shutting_down)
        while self.elapsed() < limit:
            try:
                reply = self._call(command, limit)
            except CommandNotSent:
                pass
            except CommandRefused:
                return ReportStatus.REFUSED
            except FaktoryError:
                status = ReportStatus.UNKNOWN
                if self._phase() is not ReservationPhase.IN_TIME:
                    break
            else:
                return self._status_of(reply)
            if not pauses.wait():
                break
        return status

    def _call(self, command: str, limit: float, timeout: float | None = None) -> str:
        """Send a command and return its reply.

        Args:
            command: ACK or FAIL.
            limit: seconds after FETCH from which it must not be sent.
            timeout: seconds for the command, if that is less than the client's time-out.

        Raises:
            CommandNotSent: the command was not sent, or the server accepts no commands for now.
            CommandRefused: the server replied with any other error.
            CommandOutcomeUnknown: no complete reply arrived.
        """
        return self._commands.call(command, not_after=self._not_after(limit), max_timeout=timeout)

    def _not_after(self, limit: float) -> float:
        """Return the time of `time.monotonic` that is `limit` seconds after FETCH."""
        return time.monotonic() + limit - self.elapsed()

    def _status_of(self, reply: str) -> ReportStatus:
        return self._accepted_or_late() if reply == "+OK" else ReportStatus.UNKNOWN

    def _accepted_or_late(self) -> ReportStatus:
        in_time = self._phase() is ReservationPhase.IN_TIME
        return ReportStatus.ACCEPTED if in_time else ReportStatus.LATE

    def _phase(self) -> ReservationPhase:
        return reservation_phase(self.job, self.elapsed())


class _ResendPauses:
    """Growing pauses before a report is sent again. A shutdown ends a pause; one try follows."""

    def __init__(self, shutting_down: threading.Event) -> None:
        self._shutting_down = shutting_down
        self._next_seconds = _FIRST_PAUSE_SECONDS
        self._was_last = shutting_down.is_set()

    def wait(self) -> bool:
        """Wait before the next try. Return False at once if no further try is allowed."""
        if self._was_last:
            return False
        self._was_last = self._shutting_down.wait(self._next_seconds)
        self._next_seconds = min(self._next_seconds * 2, _LONGEST_PAUSE_SECONDS)
        return True
