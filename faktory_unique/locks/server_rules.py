"""The server's rules: reservation and how late a report may be sent, retry, death, backoff.

Pure functions, without clock or I/O. The server does not say whether a failed job will be retried,
but the payload has everything that decides it (manager/retry.go:79-168 and
manager/working.go:114-127 of Faktory 1.10).
"""

from __future__ import annotations

from enum import Enum
from typing import Any

# All in seconds.
_DEFAULT_RESERVATION = 1_800
_MIN_RESERVATION = 60
_MAX_RESERVATION = 86_400

# The server looks for expired reservations every 15 s (server/task_runner.go); it may skip a round.
_EXPIRY_MARGIN = 30

# The server looks for due retries and due scheduled jobs every 5 s; it may skip a round.
PROMOTION_MARGIN = 10

# A failed or expired job is queued again after at least 15 s. Before that, no other worker can have
# it, so a report that is late, or is sent again, cannot end another worker's reservation.
LATE_GRACE = 10.0  # how long after reserve_for a report may be sent
RESEND_GRACE = 10.0  # how long after its first send a FAIL may be sent again


class FailureOutcome(Enum):
    """The result of a failure. An expired reservation counts as a failure."""

    RETRIED = "retried"
    DEAD = "dead"
    DROPPED = "dropped"


class ReservationPhase(Enum):
    """The phases of a reservation, as `reservation_phase` defines them."""

    IN_TIME = "in time"
    LATE = "late"
    OVER = "over"


def reserve_for(job: dict[str, Any]) -> int:
    """Return for how many seconds the server reserves the job."""
    requested = job.get("reserve_for") or _DEFAULT_RESERVATION
    return min(max(int(requested), _MIN_RESERVATION), _MAX_RESERVATION)


def expiry_noticed_after(job: dict[str, Any]) -> int:
    """Return the seconds after FETCH until the server has certainly noticed the expiry."""
    return reserve_for(job) + _EXPIRY_MARGIN


def reservation_phase(job: dict[str, Any], elapsed: float) -> ReservationPhase:
    """Return the phase of a reservation.

    IN_TIME: the reservation is certainly ours. LATE: it may have expired, but no other worker can
    have the job yet. OVER: another worker may have the job.

    Args:
        job: the fetched payload.
        elapsed: seconds since just before FETCH was sent.
    """
    if elapsed < reserve_for(job):
        return ReservationPhase.IN_TIME
    return (
        ReservationPhase.LATE if elapsed < reserve_for(job) + LATE_GRACE else ReservationPhase.OVER
    )


def failures_before(job: dict[str, Any]) -> int:
    """Return how often the job has failed: the number of its next failure, counted from 0."""
    failure = job.get("failure")
    return int(failure.get("retry_count", 0)) + 1 if failure else 0


def failure_outcome(job: dict[str, Any]) -> FailureOutcome:
    """Return the result if this attempt fails, or its reservation expires."""
    retry = job.get("retry")
    if retry is None:  # the server sets 25 at the first failure, and nothing at a later one
        return FailureOutcome.DROPPED if job.get("failure") else FailureOutcome.RETRIED
    if retry == 0:
        return FailureOutcome.DROPPED
    return FailureOutcome.RETRIED if failures_before(job) < retry else FailureOutcome.DEAD


def retry_backoff(failures: int) -> tuple[int, int]:
    """Return the least and the most seconds until the server retries a failed job.

    The server's backoff after failure number n is n⁴ + 15 + (0…29)·(n + 1) seconds.

    Args:
        failures: the number n of the failure, counted from 0.
    """
    least = failures**4 + 15
    return least, least + 29 * (failures + 1)


def latest_retry(failures: int) -> int:
    """Return the seconds until the server has certainly queued a failed job again.

    Args:
        failures: the number n of the failure, counted from 0.
    """
    return retry_backoff(failures)[1] + PROMOTION_MARGIN
