"""The TTLs of a lock: while its job waits, runs, waits for a retry, or is requeued.

Pure functions: the present time is an argument. docs/design.md 5.1 has the formulas.
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
    """Return the longest time, in seconds, for which a fetched job can be silent without a fault.

    The reservation expires without a report. Then the job waits for its retry, and then in its
    queue. If death keeps the lock, `ttl` is the time in which somebody can revive the dead job.
    """
    match failure_outcome(job):
        case FailureOutcome.RETRIED:
            return expiry_noticed_after(job) + retry_seconds(stamp, job)
        case FailureOutcome.DEAD if stamp.on_death == "keep":
            return expiry_noticed_after(job) + stamp.ttl
        case _:
            return expiry_noticed_after(job)


def retry_seconds(stamp: Stamp, job: dict[str, Any]) -> float:
    """Return the longest time, in seconds, until a job that has just failed is fetched again.

    That is its wait for the retry, and then `ttl` seconds in its queue.
    """
    return latest_retry(failures_before(job)) + stamp.ttl


def requeue_seconds(stamp: Stamp, job: dict[str, Any], delay: float) -> float:
    """Return the TTL, in seconds, of the lock of a job that is about to be requeued.

    It is the longer of two times: the copy's wait, and the silence of the present attempt. If the
    worker dies now, the reservation must expire first. The lock may not have been held yet.

    Args:
        stamp: the job's stamp.
        job: the payload as fetched.
        delay: seconds until the copy is due.
    """
    return max(promotion_delay(delay) + stamp.ttl, attempt_seconds(stamp, job))


def seconds_until_queued(due: datetime | None, now: datetime) -> float:
    """Return the seconds until a job that is pushed now is certainly in its queue.

    0 if the job is due at once, else the time until it is due and the margin of a promotion.

    Args:
        due: when the job is due, with a time zone; None for at once.
        now: the present, with a time zone.
    """
    return promotion_delay(seconds_until_due(due, now))


def seconds_until_due(due: datetime | None, now: datetime) -> float:
    """Return the seconds until a job is due, never negative; see `seconds_until_queued`."""
    return 0.0 if due is None else max((due - now).total_seconds(), 0.0)


def promotion_delay(delay: float) -> float:
    """Return the seconds until a job that is due in `delay` seconds is certainly in its queue."""
    return delay + PROMOTION_MARGIN if delay > 0 else 0.0
