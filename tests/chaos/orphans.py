"""Locks that are left when no job is: which are orphans, and which may exist for a while."""

from __future__ import annotations

import math
from typing import NamedTuple

from tests.chaos.replacement import is_tombstone, tombstone_problem
from tests.chaos.run_locks import is_run_lock, run_lock_problem, why_run_lock_left
from tests.chaos.settings import EXCLUSIVE, LEASE, TTL, has_jobtype
from tests.chaos.timing import (
    LONGEST_DELAY_SECONDS,
    RELEASE_SECONDS,
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

    A lock is free a moment after the ACK was answered, unless its release failed. For a policy that
    frees the lock at the job's start, see `tests.chaos.exclusion.missed_pushes`.
    """
    for job in history.jobs.values():
        if has_jobtype(job.key, EXCLUSIVE):
            continue
        for push in job.pushes:
            holder = history.jobs.get(push.holder)
            if holder is not None and push.began > holder.ended + RELEASE_SECONDS:
                failed = "the store failed" if holder.first_event("store_error") else None
                yield push, _why_left(Lock(push.key, holder.owner, 0), history) or failed


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
        (lock, (why_run_lock_left if is_run_lock(lock) else _why_left)(lock, history))
        for lock in locks
        if not is_tombstone(lock) and _problem(lock, history, now) is None
    ]


def _problem(lock, history, now):
    if is_tombstone(lock):
        return tombstone_problem(lock, history)
    if is_run_lock(lock):
        return run_lock_problem(lock, history, now)
    if lock.ttl == -1:
        return "it never expires"
    allowed = _longest_ttl(lock, history)
    if lock.ttl > allowed:
        return f"docs/design.md allows {allowed:.0f} s"
    ack = _last_ack(lock, history)
    if ack is not None and _why_left(lock, history) is None:
        return f"the ACK of {ack.process} was accepted, but the lock was not released"
    return None


def _longest_ttl(lock, history):
    if lock.value.endswith("?"):
        return LEASE
    job = history.jobs.get(lock.value)
    most = max((fetch["failures"] for fetch in job.fetches) if job else (), default=0)
    retrying = latest_retry_seconds(most) + TTL
    return max(LEASE, LONGEST_DELAY_SECONDS + TTL, attempt_seconds(most), retrying)


def _last_ack(lock, history):
    job = history.jobs.get(lock.value.removesuffix("?"))
    reports = job.reports if job is not None else ()
    acks = [report for report in reports if (report.type, report.status) == ("ack", "accepted")]
    return max(acks, key=lambda ack: ack.began, default=None)


def _why_left(lock, history):
    """Return why the lock's last holder did not release it, or None if nothing explains it."""
    ack = _last_ack(lock, history)
    if ack is None:
        return "no ACK was accepted"
    if history.was_interrupted(ack.process, ack.began, ack.ended + RELEASE_SECONDS):
        return f"{ack.process} was killed or stopped at its end"
    job = history.jobs[lock.value.removesuffix("?")]
    for event in job.events:
        process = event["writer"]
        ended, _ = history.ends.get(process, (math.inf, None))
        ended = history.exits.get(process, ended)
        # Once Redis is available again, each process that is left applies its deferred writes.
        if event["name"] == "store_error" and event["mono"] <= ended < history.faults_ended:
            return f"the store failed, and {process} was ended"
    return None
