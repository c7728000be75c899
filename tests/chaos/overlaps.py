"""Overlaps: why a job was pushed while another job of its key was live.

Each reason is one of `reasons.REASONS`, the lapses that docs/guarantees.md states. A reason is
returned only if the history shows it for these two jobs at that time.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.chaos.details import is_fetch_error, is_requeue_error, says_replaced, was_not_sent
from tests.chaos.replacement import never_locked_reason
from tests.chaos.reruns import two_copies_reason
from tests.chaos.settings import EXCLUSIVE, LEASE, TTL, has_jobtype
from tests.chaos.timing import REDIS_ROUNDING_SECONDS, STORE_SECONDS, attempt_seconds

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
        return "unguarded"
    times = (push.acquired_at, push.sent_at, push.ended)
    acquired = next(when for when in times if when is not None)
    writes = [write for write in _lock_writes(first) if write.began <= acquired]
    acquires = [write for write in writes if write.name not in _EXTENDING]
    if not acquires:
        unguarded = first.first_event("unguarded", before=acquired)
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
    began, names = writes[0].began, {write.name for write in writes}
    expiry = max(write.began + write.ttl for write in writes)
    if expiry > acquired + REDIS_ROUNDING_SECONDS:
        return None
    if job.first_event("store_error", after=began, before=acquired):
        return "store_error"
    if "renewed" in names:  # no attempt may take that long
        return None
    if names.isdisjoint({"confirmed", "replaced"}):
        return _lease_reason(history, job, began, acquired)
    return _wait_reason(job, acquired)


def _wait_reason(job, acquired):
    # The store may fail the renewal that would notice the lapse, until the run is over.
    noticed = job.first_event("lapsed", "reacquired", "store_error", after=acquired)
    if noticed or _lapse_may_be_unnoticed(job, acquired):
        return "waited_longer_than_ttl"
    return None


def _lapse_may_be_unnoticed(job, acquired):
    """Return whether the worker that fetched it later could not know that its lock had lapsed.

    If the lock is freed when its job starts, a job that failed or was requeued may have freed it.
    """
    return has_jobtype(job.key, EXCLUSIVE) and any(
        fetch["failures"] or fetch["jid"] != job.owner
        for fetch in job.fetches
        if fetch["mono"] > acquired
    )


def _lease_reason(history, job, began, acquired):
    """Return why a lock was never confirmed."""
    if any(push.outcome_unknown for push in job.pushes if push.began <= acquired):
        return "push_unknown"
    if any(history.was_interrupted(push.process, push.began, push.ended) for push in job.pushes):
        return "producer_interrupted"
    return "confirmed_too_late" if job.first_event("lapsed", after=began) else None
