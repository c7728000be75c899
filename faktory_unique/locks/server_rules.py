"""What the server does with a reserved job, read off its fetched payload: pure, no clock, no I/O.

It tells nobody whether a failed job will be retried, and forgets nothing that decides it: all of it
stands in the payload (manager/retry.go:79-168 and manager/working.go:114-127 of Faktory 1.10).
"""

from __future__ import annotations

from enum import Enum
from typing import Any

_DEFAULT_RESERVATION = 1_800
_SHORTEST_RESERVATION = 60
_LONGEST_RESERVATION = 86_400

# Expired reservations are looked for every 15 s (server/task_runner.go); a round can be skipped.
_REAPING_MARGIN = 30

# Retries that are due are looked for every 5 s, as are scheduled jobs, and a round can be skipped.
PROMOTION_MARGIN = 10

# A failed or expired job is back in its queue after 15 s at the soonest. Within less than that
# nobody else can have it yet, and a report that is late, or sent again, takes nobody's reservation.
LATE_GRACE = 10.0
RESEND_GRACE = 10.0


class FailureOutcome(Enum):
    """What becomes of a job that fails, or whose reservation expires: the same."""

    RETRIED = "retried"
    DEAD = "dead"
    DROPPED = "dropped"


class ReservationPhase(Enum):
    """How an instant stands to a reservation."""

    IN_TIME = "in time"
    LATE = "late"
    OVER = "over"


def reserve_for(job: dict[str, Any]) -> int:
    """Seconds for which the server reserves the job."""
    asked = job.get("reserve_for") or _DEFAULT_RESERVATION
    return min(max(int(asked), _SHORTEST_RESERVATION), _LONGEST_RESERVATION)


def expiry_noticed_after(job: dict[str, Any]) -> int:
    """Seconds after which the server has surely noticed that the reservation expired."""
    return reserve_for(job) + _REAPING_MARGIN


def reservation_phase(job: dict[str, Any], elapsed: float) -> ReservationPhase:
    """Where a reservation stands `elapsed` seconds after FETCH was about to be sent.

    In time it is ours for certain. Late, it may have expired, but nobody else can have the job.
    """
    if elapsed < reserve_for(job):
        return ReservationPhase.IN_TIME
    return (
        ReservationPhase.LATE if elapsed < reserve_for(job) + LATE_GRACE else ReservationPhase.OVER
    )


def failures_before(job: dict[str, Any]) -> int:
    """How often the job has failed: the number that its next failure bears, counted from 0."""
    failure = job.get("failure")
    return int(failure.get("retry_count", 0)) + 1 if failure else 0


def failure_outcome(job: dict[str, Any]) -> FailureOutcome:
    """What becomes of the job if this attempt fails or expires."""
    retry = job.get("retry")
    if retry is None:  # the server makes it 25 at the first failure, and at a later one nothing
        return FailureOutcome.DROPPED if job.get("failure") else FailureOutcome.RETRIED
    if retry == 0:
        return FailureOutcome.DROPPED
    return FailureOutcome.RETRIED if failures_before(job) < retry else FailureOutcome.DEAD


def latest_retry(failures: int) -> int:
    """Seconds after which the server has surely enqueued the job again, after failure number n.

    Its backoff is n⁴ + 15 + (0…29)·(n + 1).
    """
    return failures**4 + 15 + 29 * (failures + 1) + PROMOTION_MARGIN
