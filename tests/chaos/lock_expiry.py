"""Lock expiry: why a lock's TTL ended while its job was live.

Each reason is one of `reasons.REASONS`.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.chaos.deferrals import pending_until
from tests.chaos.details import (
    is_fail_error,
    is_fetch_error,
    is_push_error,
    is_requeue_error,
    was_deferred,
)
from tests.chaos.settings import EXCLUSIVE, LEASE, TTL, has_jobtype
from tests.chaos.timing import REDIS_ROUNDING_SECONDS, attempt_seconds, latest_retry_seconds

# A push with one of these statuses rolls back the lock that it acquired.
ROLLED_BACK = {"not_sent", "refused"}


# What a lease has left when its job is sent (docs/design.md 5.76), without the moment between
# reading the time and journalling the send.
_LEFT_AT_SEND = 0.75 * LEASE - 0.5


class LockWrite(NamedTuple):
    """A write that set a lock's TTL.

    Attributes:
        began: when it began.
        ttl: seconds.
        name: "acquired", "confirmed", "replaced", "renewed" or "requeue".
    """

    began: float
    ttl: float
    name: str


def expiry_reason(history, job, writes, acquired):
    """Return why a lock had expired, or None if it had not, or must not.

    Args:
        history: the run's history.
        job: the lock's owner.
        writes: the `LockWrite`s since the lock was last acquired, in order.
        acquired: when another job acquired the lock.
    """
    names = {write.name for write in writes}
    expiry = max(write.began + write.ttl for write in writes)
    if expiry > acquired + REDIS_ROUNDING_SECONDS:
        return None
    errors = [e for e in job.events if e["name"] == "store_error"]
    errors = [e for e in errors if writes[0].began < e["mono"] < acquired < _would_last(job, e)]
    if any(_may_be_missing(history, job, error, expiry, acquired) for error in errors):
        return "store_error"
    if errors:  # the write must have been applied once Redis was back
        return None
    if "renewed" in names:  # no attempt may take that long
        return None
    if names.isdisjoint({"confirmed", "replaced"}):
        return _lease_reason(history, job, writes[0].began, acquired)
    return _wait_reason(job, writes[0].began, acquired)


def _would_last(job, error):
    """Return until when a lock would have lasted by the write that the store failed."""
    if is_push_error(error):
        waits = [push.wait for push in job.pushes if push.process == error["writer"]]
        return error["mono"] + TTL + max(waits, default=0)
    fetch = fetch_before(job, error)
    # At FETCH an exclusive job's lock is released, not held.
    is_hold = is_fetch_error(error) and not has_jobtype(job.key, EXCLUSIVE)
    if fetch is None or not (is_hold or is_requeue_error(error) or is_fail_error(error)):
        return 0.0
    retry = 0.0 if is_hold else latest_retry_seconds(fetch["failures"]) + TTL
    return error["mono"] + max(attempt_seconds(fetch["failures"]), retry)


def _may_be_missing(history, job, error, expiry, acquired):
    """Return whether a write that the store failed was not applied by `acquired`, or too late.

    Args:
        history: the run's history.
        job: the lock's owner.
        error: the `store_error`.
        expiry: when the lock expired by the writes before.
        acquired: when another job acquired the lock.
    """
    if is_push_error(error) or not was_deferred(error):
        return True
    failed, process = error["mono"], error["writer"]
    until = pending_until(history, process, failed)
    if not is_fetch_error(error):  # an extension acquires no lock that has expired
        return until >= expiry
    # A deferred hold does, unless the run has been reported.
    reports = [report for report in job.copies[error["jid"]].reports if report.process == process]
    return acquired <= until or any(failed < report.began < acquired for report in reports)


def _wait_reason(job, since, acquired):
    """Return the reason if the worker that fetched the job next noticed the lapse, or could not.

    A job that was fetched before, and had lapsed then, runs without a lock.
    """
    if job.first_event("lapsed", after=since, before=acquired):
        return "waited_longer_than_ttl"
    names = [
        event["name"]
        for event in job.events
        # The store may fail the renewal that would notice it.
        if event["mono"] > acquired and (event["name"] != "store_error" or is_fetch_error(event))
    ]
    noticing = ("lapsed", "reacquired", "renewed", "store_error")
    noticed = next((name for name in names if name in noticing), "renewed")
    if noticed != "renewed" or _lapse_may_be_unnoticed(job, acquired):
        return "waited_longer_than_ttl"
    return None


def _lapse_may_be_unnoticed(job, acquired):
    """Return whether the worker that was to run it next could not know that its lock had lapsed.

    If the lock is freed when its job starts, a job that failed or was requeued may have freed it.
    """
    runs = [fetch for fetch in job.fetches if fetch.get("decision") != "Requeue"]
    later = [fetch for fetch in runs if fetch["mono"] > acquired]
    fetch = min(later, key=lambda each: each["mono"], default=None)
    is_first_attempt = fetch is None or (not fetch["failures"] and fetch["jid"] == job.owner)
    return has_jobtype(job.key, EXCLUSIVE) and not is_first_attempt


def _lease_reason(history, job, leased_at, acquired):
    """Return why a lock that was leased last at this time was never confirmed."""
    pushes = [
        push
        for push in job.pushes
        if leased_at <= push.began <= acquired and push.status not in ROLLED_BACK
    ]
    if any(push.outcome_unknown for push in pushes):
        return "push_unknown"
    if any(history.was_interrupted(push.process, push.began, push.ended) for push in pushes):
        return "producer_interrupted"
    lapsed = [event for event in job.events if event["name"] == "lapsed"]
    reported = any(
        event["writer"] == push.process
        and push.began + LEASE <= event["mono"] <= push.ended
        and (push.sent_at or push.began) + _LEFT_AT_SEND <= event["mono"]
        for push in pushes
        for event in lapsed
    )
    return "confirmed_too_late" if reported else None


def fetch_before(job, event):
    """Return the journal entry of the FETCH of this event's copy before it, or None."""
    copy = job.copies.get(event["jid"])
    fetches = copy.fetches if copy is not None else []
    return next((f for f in reversed(fetches) if f["mono"] <= event["mono"]), None)
