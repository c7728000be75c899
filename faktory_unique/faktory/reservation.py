"""A fetched job, and what may still be said of it to the server.

The server keys reservations by jid alone and answers +OK to an ACK that comes after the reservation
has expired (manager/working.go of Faktory 1.10): such an ACK can end another worker's run of the
same job. So a report is sent only while the reservation is ours, or can only just have expired.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from faktory_unique.chain import Answer, JobError, Payload
from faktory_unique.errors import FaktoryError, NotSent, OutcomeUnknown, Refused

from .refusals import is_refusal

if TYPE_CHECKING:
    import threading

    from .client import Client

# What the server makes of a job's reserve_for (manager/working.go:114-127).
_DEFAULT_RESERVATION = 1_800
_SHORTEST_RESERVATION = 60
_LONGEST_RESERVATION = 86_400

# Seconds past reserve_for within which a report is still sent: a job that has expired comes back
# after 15 s at the soonest (its first backoff), so nobody else can have it yet.
_LATE_BAND = 10.0

_SERVER_UNIQUE = {"unique_for", "unique_until"}

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


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
        self._since = since
        self._giving_up = giving_up

    @property
    def reserve_for(self) -> float:
        """Seconds for which the server reserves the job."""
        asked = self.job.get("reserve_for") or _DEFAULT_RESERVATION
        return float(min(max(asked, _SHORTEST_RESERVATION), _LONGEST_RESERVATION))

    def elapsed(self) -> float:
        """Seconds since before FETCH, by the clock that moved more: one may stop in a suspend."""
        monotonic, wall = self._since
        return max(time.monotonic() - monotonic, self._client.now() - wall)

    def ack(self, job: Payload) -> Answer:
        """ACK, repeated on a fresh connection while the reservation is ours for certain."""
        return self._report("ACK", {"jid": job["jid"]}, repeat=True)

    def fail(self, job: Payload, error: JobError) -> Answer:
        """FAIL, sent once: without an answer the expiry fails the job in its stead."""
        return self._report(
            "FAIL",
            {
                "jid": job["jid"],
                "errtype": error.errtype,
                "message": error.message,
                "backtrace": error.backtrace,
            },
            repeat=False,
        )

    def put_back(self, delay: float) -> Answer:
        """Pushes a copy that is due in `delay` seconds and acknowledges this one.

        The copy has a jid of its own: two of one jid destroy each other's reservation. Its lock
        stays as it is, with the stamp's owner. What is uncertain is left to the expiry.

        Returns:
            ACCEPTED when both were answered; REFUSED when the copy was, and this job is untouched.
        """
        copy = _copy_due_at(self.job, self._client.now() + delay)
        if self.elapsed() >= self.reserve_for:
            return Answer.WITHHELD
        try:
            said = self._client.push_batch([copy])
        except NotSent:
            return Answer.WITHHELD
        except OutcomeUnknown:
            return Answer.UNKNOWN
        except Refused as exc:
            said = {copy["jid"]: str(exc)}
        error = said.get(copy["jid"])
        if error is not None:
            return Answer.REFUSED if is_refusal(error) else Answer.UNKNOWN
        if self.elapsed() >= self.reserve_for:  # the expiry may have put this job back already
            return Answer.WITHHELD
        answer = self.ack(self.job)
        # REFUSED would say that the copy was; it is there, and this job must not be FAILed too.
        return Answer.UNKNOWN if answer is Answer.REFUSED else answer

    def _report(self, verb: str, told: dict[str, Any], *, repeat: bool) -> Answer:
        answer, pause = Answer.WITHHELD, _FIRST_PAUSE
        while self.elapsed() < self.reserve_for + _LATE_BAND:
            try:
                left = self.reserve_for + _LATE_BAND - self.elapsed()
                not_after = time.monotonic() + left
                reply = self._client.call(f"{verb} {json.dumps(told)}", not_after=not_after)
            except NotSent:
                pass
            except Refused:
                return Answer.REFUSED
            except FaktoryError:
                answer = Answer.UNKNOWN
                if not repeat or self.elapsed() >= self.reserve_for:
                    return answer
            else:
                if reply != "+OK":
                    return Answer.UNKNOWN
                return Answer.ACCEPTED if self.elapsed() < self.reserve_for else Answer.LATE
            if self._giving_up.wait(pause):
                break
            pause = min(pause * 2, _LONGEST_PAUSE)
        return answer


def _copy_due_at(job: Payload, when: float) -> Payload:
    """The payload of a put-back. `failure` stays: the retries spent stay spent."""
    copy = {name: value for name, value in job.items() if name not in {"at", "enqueued_at"}}
    if custom := job.get("custom"):
        # An Enterprise server would take the copy for a duplicate of the job it replaces.
        copy["custom"] = {n: v for n, v in custom.items() if n not in _SERVER_UNIQUE}
    copy["jid"] = uuid.uuid4().hex
    copy["at"] = datetime.fromtimestamp(when, UTC).isoformat()
    return copy
