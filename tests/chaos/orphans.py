"""Locks that are left when no job is: which are orphans, and which may exist for a while."""

from __future__ import annotations

import math
from typing import NamedTuple

from tests.chaos.deferrals import pending_until
from tests.chaos.details import is_report_error
from tests.chaos.replacement import is_tombstone, tombstone_problem
from tests.chaos.run_locks import is_run_lock, run_lock_problem, why_run_lock_left
from tests.chaos.settings import EXCLUSIVE, LEASE, REPLACE, TTL, has_jobtype
from tests.chaos.timing import (
    LONGEST_DELAY_SECONDS,
    REDIS_ROUNDING_SECONDS,
    attempt_seconds,
    latest_retry_seconds,
)


class Lock(NamedTuple):
    """A lock in Redis.

    Attributes:
        key: its key.
        value: its owner, with `?` at the end if it is only leased.
        ttl: whole seconds that it has left; -1 if it never expires.
    """

    key: str
    value: str
    ttl: int


def pushes_blocked_by_ended_jobs(history):
    """Yield each push that was a duplicate of a job that was over, with an explanation or None.

    A duplicate of a job that nobody pushed, or that has another key, is yielded, too.

    A worker journals the status of an ACK after it has released the lock, or has failed to. For a
    policy that frees the lock at the job's start, see `tests.chaos.exclusion.missed_pushes`.
    """
    duplicates = [push for job in history.jobs.values() for push in job.pushes if push.holder]
    for push in duplicates:
        holder = history.holder(push)
        if holder is None or holder.key != push.key:
            yield push, _why_unknown(history, push)
        elif push.began > holder.ended and not has_jobtype(push.key, EXCLUSIVE):
            yield push, _why_leased(holder, push) or _why_left(history, holder, push.began)


def _why_unknown(history, push):
    """Return why nobody knows the job that had the lock of a duplicate, or None.

    A job that was replaced gets a new owner. If its producer is killed at that moment, its lease is
    all that is left.
    """
    since = push.began - LEASE - REDIS_ROUNDING_SECONDS
    killed = [when for when, how in history.ends.values() if how == "kill"]
    is_lease = not push.confirmed and has_jobtype(push.key, REPLACE)
    if is_lease and any(since <= when <= push.ended for when in killed):
        return "its producer was killed"
    return None


def _why_leased(holder, push):
    """Return why a duplicate may have found a lease of a job that was over, or None.

    Its producer does not know that an unknown push succeeded, and pushes the job again.
    """
    longest = LEASE + REDIS_ROUNDING_SECONDS
    again = [p for p in holder.pushes if p.acquired_at and p.acquired_at >= holder.ended]
    if not push.confirmed and any(
        p.began <= push.ended and push.began <= p.ended + longest for p in again
    ):
        return "it was pushed again"
    return None


def find_orphans(locks, history, now):
    """Return the locks that must not exist, each with the problem.

    Args:
        locks: the locks that are left.
        history: the run's history.
        now: when they were read, by the monotonic clock.
    """
    judged = [(lock, _problem(lock, history, now)) for lock in locks]
    return [(lock, problem) for lock, problem in judged if problem is not None]


def find_expiring(locks, history, now):
    """Return the locks that may exist until they expire, each with the reason.

    Tombstones are left out: they block no push.
    """
    return [
        (lock, _why_left_at(lock, history, now))
        for lock in locks
        if not is_tombstone(lock) and _problem(lock, history, now) is None
    ]


def _why_left_at(lock, history, now):
    if is_run_lock(lock):
        return why_run_lock_left(lock, history, now)
    return _why_left(history, _job(lock, history), now)


def _problem(lock, history, now):
    if is_tombstone(lock):
        return tombstone_problem(lock, history)
    if is_run_lock(lock):
        return run_lock_problem(lock, history, now)
    return "it never expires" if lock.ttl == -1 else _lock_problem(lock, history, now)


def _lock_problem(lock, history, now):
    job = _job(lock, history)
    if job is None or job.key != lock.key:
        return "no job has this owner and key"
    allowed = _longest_ttl(lock, job, now)
    if lock.ttl > allowed:
        return f"docs/design.md allows {allowed:.0f} s"
    if _why_left(history, job, now) is None:
        end = _last_end(job)
        verb = end.type.upper()
        return f"the {verb} of {end.process} was accepted, but the lock was not released"
    return None


def _job(lock, history):
    return history.jobs.get(lock.value.removesuffix("?"))


def _longest_ttl(lock, job, now):
    """Return the longest TTL that a lock of this job can have left."""
    if lock.value.endswith("?"):
        # A lease is set by a push, also by one that renews it, and by nothing else.
        pushed = max((push.ended for push in job.pushes), default=0)
        return min(LEASE, pushed + LEASE + REDIS_ROUNDING_SECONDS - now)
    most = max((fetch["failures"] for fetch in job.fetches), default=0)
    retrying = latest_retry_seconds(most) + TTL
    return max(LEASE, LONGEST_DELAY_SECONDS + TTL, attempt_seconds(most), retrying)


def _last_end(job):
    """Return the ACK or FAIL that ended a job for good; None if none was accepted."""
    last = max(job.reports, key=lambda report: report.began, default=None)
    return last if last is not None and last.ends_job else None


def _why_left(history, job, when):
    """Return why the lock of a job may stand at a time, or None if it must have been released."""
    end = _last_end(job)
    if end is None:
        return "no ACK was accepted"
    most = max((fetch["failures"] for fetch in job.fetches), default=0)
    if when > end.ended + attempt_seconds(most):  # no write sets a longer TTL, or comes later
        return None
    for event in job.events:
        is_of_end = event["writer"] == end.process and end.began <= event["mono"] <= end.ended
        if event["name"] == "store_error" and is_of_end and is_report_error(event, end.type):
            until = pending_until(history, end.process, event["mono"])
            if until == math.inf:
                return f"the store failed the release, and {end.process} ended before it was back"
            if when <= until:
                return f"the store failed the release, until {until:.1f} at the latest"
    return None
