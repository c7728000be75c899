"""Overlaps: why a job was pushed while another job of its key was live.

Each reason is one of `reasons.REASONS`, the lapses that docs/guarantees.md states. A reason is
returned only if the history shows it for these two jobs at that time.
"""

from __future__ import annotations

from tests.chaos.details import (
    is_fetch_error,
    is_requeue_error,
    leased_owner,
    says_replaced,
    was_not_sent,
)
from tests.chaos.lock_expiry import ROLLED_BACK, LockWrite, expiry_reason, fetch_before
from tests.chaos.replacement import never_locked_reason
from tests.chaos.reruns import two_copies_reason
from tests.chaos.settings import EXCLUSIVE, LEASE, REPLACE, TTL, has_jobtype, may_push_unguarded
from tests.chaos.timing import STORE_SECONDS, attempt_seconds

# A write with one of these names extends a lock that exists, and acquires none.
_EXTENDING = {"confirmed", "requeue"}


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
        earlier = [each for each in first.pushes if each.began <= acquired]
        unguarded = any(may_be_unguarded(history, each) for each in earlier)
        return "unguarded" if unguarded else never_locked_reason(history, first, acquired)
    began = acquires[-1].began
    if history.lost_locks(began, acquired):
        return "redis_forgot"
    released_by = _released_by(first, copy, began, acquired)
    if released_by is not None:
        return two_copies_reason(first, copy, released_by)
    if _release_unknown(first, began, acquired):
        return "release_unknown"
    return expiry_reason(history, first, [w for w in writes if w.began >= began], acquired)


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
            return any(p.began <= event["mono"] <= _lease_end(history, p) for p in holder.pushes)
        since = push.began - STORE_SECONDS
        outages = [o for o in history.redis_outages if o["began"] <= event["mono"]]
        failed = any(outage["ended"] >= since for outage in outages)
        return failed and may_push_unguarded(push.process)
    return False


def _lease_end(history, push):
    """Return until when a push can have a lease.

    The acquire of an unguarded push had no reply. Redis may carry it out when its outage ends.
    """
    ends = [push.ended]
    if push.status == "unguarded":
        ends += [o["ended"] for o in history.redis_outages if o["began"] <= push.ended]
    return max(ends) + LEASE


def _lock_writes(job):
    """Return the writes that set the lock of a job, without those that were rolled back."""
    acquired = [
        push
        for push in job.pushes
        if push.acquired_at is not None and push.status not in ROLLED_BACK
    ]
    writes = [LockWrite(push.began, LEASE, "acquired") for push in acquired]
    for event in job.events:
        if event["name"] == "confirmed":
            ttl = TTL + max((push.wait for push in job.pushes), default=0)
            # A push that replaces another job has no lease.
            leased = any(push.began <= event["mono"] for push in acquired)
            replaced = not leased or says_replaced(event)
            name = "replaced" if replaced else "confirmed"
            writes.append(LockWrite(event["mono"], ttl, name))
        elif event["name"] in {"renewed", "reacquired"}:
            fetch = fetch_before(job, event)
            if fetch is not None:
                # If the store failed at first, the deferred write is applied later.
                began = max(fetch["mono"], event["mono"] - STORE_SECONDS)
                writes.append(LockWrite(began, attempt_seconds(fetch["failures"]), "renewed"))
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
            yield LockWrite(began, attempt_seconds(failures), "requeue")


def _release_unknown(job, since, until):
    """Return whether the release before a job's start had no answer, so that it was requeued."""
    return has_jobtype(job.key, EXCLUSIVE) and any(
        event["name"] == "store_error" and is_fetch_error(event) and not was_not_sent(event)
        for event in job.events
        if since < event["mono"] < until + STORE_SECONDS
    )


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
