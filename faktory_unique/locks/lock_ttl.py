"""How long a lock lives: TTLs while a job waits, runs, failed and will be retried, or is requeued.

Pure: the present is an argument. docs/design.md §5 has the formulas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .server_rules import (
    PROMOTION_MARGIN,
    FailureOutcome,
    expiry_noticed_after,
    failure_outcome,
    failures_before,
    latest_retry,
)

if TYPE_CHECKING:
    from datetime import datetime

    from .stamp import Stamp


def attempt_seconds(stamp: Stamp, job: dict[str, Any]) -> float:
    """Return the longest silence, in seconds, that a fetched job can honestly have.

    The reservation expires unreported, the job waits for its retry, then in its queue. If death
    keeps the lock, the wait is for somebody who brings the dead job back.
    """
    match failure_outcome(job):
        case FailureOutcome.RETRIED:
            return expiry_noticed_after(job) + retry_seconds(stamp, job)
        case FailureOutcome.DEAD if stamp.on_death == "keep":
            return expiry_noticed_after(job) + stamp.ttl
        case _:
            return expiry_noticed_after(job)


def retry_seconds(stamp: Stamp, job: dict[str, Any]) -> float:
    """Return the seconds until a job that has just failed is surely retried."""
    return latest_retry(failures_before(job)) + stamp.ttl


def requeue_seconds(stamp: Stamp, job: dict[str, Any], delay: float) -> float:
    """Return the seconds that the copy of a job can wait, or its present attempt can be silent.

    If the worker dies now, the job is left to its reservation. For a job that was never held,
    nothing else covers that silence.

    Args:
        stamp: the job's own.
        job: the payload as fetched.
        delay: seconds until the copy is due.
    """
    return max(add_promotion_margin(delay) + stamp.ttl, attempt_seconds(stamp, job))


def seconds_until_queued(due: datetime | None, now: datetime) -> float:
    """Return the seconds until a job pushed now is surely in its queue: 0, or with the margin.

    Args:
        due: when the job is due, with a time zone; None for at once.
        now: the present, with a time zone.
    """
    return add_promotion_margin(seconds_until_due(due, now))


def seconds_until_due(due: datetime | None, now: datetime) -> float:
    """Return the seconds until a job pushed now is due, 0 if it is; see `seconds_until_queued`."""
    return 0.0 if due is None else max((due - now).total_seconds(), 0.0)


def add_promotion_margin(delay: float) -> float:
    """Return the seconds after which a job due in `delay` seconds is surely in its queue."""
    return delay + PROMOTION_MARGIN if delay > 0 else 0.0
