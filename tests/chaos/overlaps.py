"""Overlaps: why a job was pushed while another job of its key was live.

Each reason is one of `reasons.REASONS`, the lapses that docs/guarantees.md states. A reason is
returned only if the history shows it for these two jobs at that time.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.chaos.deferrals import pending_until
from tests.chaos.details import (
    is_fail_error,
    is_fetch_error,
    is_push_error,
    is_requeue_error,
    leased_owner,
    says_replaced,
    was_deferred,
    was_not_sent,
)
from tests.chaos.replacement import never_locked_reason
from tests.chaos.reruns import two_copies_reason
from tests.chaos.settings import EXCLUSIVE, LEASE, REPLACE, TTL, has_jobtype, may_push_unguarded
from tests.chaos.timing import (
    REDIS_ROUNDING_SECONDS,
    STORE_SECONDS,
    attempt_seconds,
    latest_retry_seconds,
)

# A push with one of these statuses rolls back the lock that it acquired.
_ROLLED_BACK = {"not_sent", "refused"}

# A write with one of these names extends a lock that exists, and acquires none.
_EXTENDING = {"confirmed", "requeue"}


class _LockWrite(NamedTuple):
    """A write that set a lock's TTL.

    Attributes:
        began: when it began.
        ttl: seconds.
        name: "acquired", "confirmed", "replaced", "renewed" or "requeue".
    """

    began: float
    ttl: float
    name: str


def overlap_reason(history, first, copy, push):
    """Return why a job was pushed while a copy of another was live, or None if nothing explains it.

    Args:
        history: the run's history.
        first: the job that was live.
        copy: its copy that was live.
        push: the push of the other job.
    """
    if push.status == "unguarded":
        return "unguarded" if may_be_unguarded(history, push) else None
    times = (push.acquired_at, push.sent_at, push.ended)
    acquired = next(when for when in times if when is not None)
    writes = [write for write in _lock_writes(first) if write.began <= acquired]
    acquires = [write for write in writes if write.name not in _EXTENDING]
    if not acquires:
        pushes = [push for push in first.pushes if push.began <= acquired]
        unguarded = any(may_be_unguarded(history, each) for each in pushes)
        return "unguarded" if unguarded else never_locked_reason(history, first, acquired)
    began = acquires[-1].began
    if history.lost_locks(began, acquired):
        return "redis_forgot"
    released_by = _released_by(first, copy, began, acquired)
    if released_by is not None:
        return two_copies_reason(first, copy, released_by)
    if _release_unknown(first, began, acquired):
        return "release_unknown"
    return _expiry_reason(history, first, [w for w in writes if w.began >= began], acquired)


def may_be_unguarded(history, push):
    """Return whether a job was pushed unguarded, and for a reason.

    Either a lease was in its way, and nobody may replace a lease; or Redis failed, and the producer
    is the one that pushes all the same.
    """
    events = history.jobs[push.owner].events
    for event in events:
        is_of_push = event["writer"] == push.process and push.began <= event["mono"] <= push.ended
        if event["name"] != "unguarded" or not is_of_push:
            continue
        holder = history.jobs.get(leased_owner(event))
        if holder is not None and has_jobtype(push.key, REPLACE):
            return any(p.began <= event["mono"] <= p.ended + LEASE for p in holder.pushes)
        since = push.began - STORE_SECONDS
        outages = [o for o in history.redis_outages if o["began"] <= event["mono"]]
        failed = any(outage["ended"] >= since for outage in outages)
        return failed and may_push_unguarded(push.process)
    return False


def _lock_writes(job):
    """Return the writes that set the lock of a job, without those that were rolled back."""
    acquired = [
        push
        for push in job.pushes
        if push.acquired_at is not None and push.status not in _ROLLED_BACK
    ]
    writes = [_LockWrite(push.began, LEASE, "acquired") for push in acquired]
    for event in job.events:
        if event["name"] == "confirmed":
            ttl = TTL + max((push.wait for push in job.pushes), default=0)
            # A push that replaces another job has no lease.
            leased = any(push.began <= event["mono"] for push in acquired)
            replaced = not leased or says_replaced(event)
            name = "replaced" if replaced else "confirmed"
            writes.append(_LockWrite(event["mono"], ttl, name))
        elif event["name"] in {"renewed", "reacquired"}:
            fetch = _fetch_before(job, event)
            if fetch is not None:
                # If the store failed at first, the deferred write is applied later.
                began = max(fetch["mono"], event["mono"] - STORE_SECONDS)
                writes.append(_LockWrite(began, attempt_seconds(fetch["failures"]), "renewed"))
    if has_jobtype(job.key, EXCLUSIVE):
        writes += _requeue_writes(job, writes)
    return sorted(writes)


def _requeue_writes(job, writes):
    """Yield the writes that extended the lock of a blocked job while the lock existed."""
    until = max((write.began + write.ttl for write in writes), default=0)
    reports = [(report.began, c, report) for c in job.copies.values() for report in c.reports]
    for began, copy, report in sorted(reports, key=lambda each: each[0]):
        failed = any(
            event["name"] == "store_error" and is_requeue_error(event)
            for event in job.events
            if began <= event["mono"] <= report.ended
        )
        if report.type == "requeue" and began < until and not failed:
            failures = max((fetch["failures"] for fetch in copy.fetches), default=0)
            until = max(until, began + attempt_seconds(failures))
            yield _LockWrite(began, attempt_seconds(failures), "requeue")


def _release_unknown(job, since, until):
    """Return whether the release before a job's start had no answer, so that it was requeued."""
    return has_jobtype(job.key, EXCLUSIVE) and any(
        event["name"] == "store_error" and is_fetch_error(event) and not was_not_sent(event)
        for event in job.events
        if since < event["mono"] < until + STORE_SECONDS
    )


def _fetch_before(job, event):
    copy = job.copies.get(event["jid"])
    fetches = copy.fetches if copy is not None else []
    return next((f for f in reversed(fetches) if f["mono"] <= event["mono"]), None)


def _released_by(job, copy, since, until):
    """Return another copy whose ACK has released the lock in this span, or may have."""
    return next(
        (
            other
            for other in job.copies.values()
            if other is not copy
            for report in other.reports
            if report.type == "ack" and report.status in {"accepted", None}
            if report.ended >= since and report.began <= until
        ),
        None,
    )


def _expiry_reason(history, job, writes, acquired):
    """Return why the lock had expired since these writes, or None if it had not, or must not."""
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
        return _lease_reason(history, job, writes[-1].began, acquired)
    return _wait_reason(job, acquired)


def _would_last(job, error):
    """Return until when a lock would have lasted by the write that the store failed."""
    if is_push_error(error):
        waits = [push.wait for push in job.pushes if push.process == error["writer"]]
        return error["mono"] + TTL + max(waits, default=0)
    fetch = _fetch_before(job, error)
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


def _wait_reason(job, acquired):
    """Return the reason if the worker that fetched the job next noticed the lapse, or could not."""
    # The store may fail the renewal that would notice it.
    names = ("lapsed", "reacquired", "renewed", "store_error")
    noticed = job.first_event(*names, after=acquired)
    is_noticed = noticed is not None and noticed["name"] != "renewed"
    if is_noticed or _lapse_may_be_unnoticed(job, acquired):
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
        if leased_at <= push.began <= acquired and push.status not in _ROLLED_BACK
    ]
    if any(push.outcome_unknown for push in pushes):
        return "push_unknown"
    if any(history.was_interrupted(push.process, push.began, push.ended) for push in pushes):
        return "producer_interrupted"
    lapsed = [event for event in job.events if event["name"] == "lapsed"]
    reported = any(
        event["writer"] == push.process and push.began + LEASE <= event["mono"] <= push.ended
        for push in pushes
        for event in lapsed
    )
    return "confirmed_too_late" if reported else None
