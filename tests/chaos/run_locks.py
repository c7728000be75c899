"""Run locks that are left after the last job: which may exist, and why they were not released."""

from __future__ import annotations

from tests.chaos.deferrals import pending_until
from tests.chaos.details import is_fetch_error, is_run_lock_error
from tests.chaos.timing import (
    REDIS_ROUNDING_SECONDS,
    RUN_LEASE_SECONDS,
    RUN_LOCK_SECONDS,
    STORE_SECONDS,
)

# If its acquire had no answer, a run lock lasts for its lease and a moment.
_UNANSWERED_LEASE_SECONDS = RUN_LEASE_SECONDS + STORE_SECONDS


def is_run_lock(lock):
    """Return whether this key in Redis says that an exclusive job runs."""
    return lock.key.startswith("{") and lock.key.endswith("}:run")


def run_lock_problem(lock, history, now):
    """Return why this run lock must not exist, or None if it may.

    Args:
        lock: a run lock; its value is `<jid>:<token of one attempt>`.
        history: the run's history.
        now: when the lock was read, by the monotonic clock.
    """
    if lock.ttl == -1:
        return "it never expires"
    if lock.ttl > RUN_LOCK_SECONDS:
        return f"docs/design.md allows {RUN_LOCK_SECONDS} s"
    holder = _holder(lock, history)
    if holder is None or not holder[1].fetches:
        return "no worker has fetched its job"
    _, copy = holder
    fetch = copy.fetches[-1]
    # It is leased at FETCH, and held before the handler starts.
    runs = [run for run in copy.runs if run.fetch is fetch]
    held = runs[-1].began if runs else fetch["mono"] + RUN_LEASE_SECONDS
    if now + lock.ttl > held + RUN_LOCK_SECONDS + REDIS_ROUNDING_SECONDS:
        late = now + lock.ttl - held - RUN_LOCK_SECONDS
        return f"it was held again when its job had run for {late:.0f} s"
    left = why_run_lock_left(lock, history, now)
    return None if left else "its job was reported, but the lock was not released"


def why_run_lock_left(lock, history, now):
    """Return why its worker has not released this run lock, or None if nothing explains it.

    A worker journals the status of a report after it has released the run lock, or has failed to.
    """
    job, copy = _holder(lock, history)
    fetch = copy.fetches[-1]
    worker = fetch["writer"]
    report = next((r for r in copy.reports if r.began >= fetch["mono"]), None)
    if report is None or report.status is None:
        return f"{worker} was killed during its run" if history.was_killed(worker) else None
    return why_release_failed(history, job, copy.jid, fetch, report, now)


def why_release_failed(history, job, jid, fetch, report, when):
    """Return why a run lock may stand when its job was reported, or None.

    Args:
        history: the run's history.
        job: the logical job that had the run lock.
        jid: its copy.
        fetch: the journal entry of the copy's FETCH.
        report: the report that ended the run.
        when: when the run lock was found.
    """
    for event in job.events:
        if (event["name"], event["jid"], event["writer"]) != ("store_error", jid, report.process):
            continue
        failed = event["mono"]
        is_release = is_run_lock_error(event) and report.began <= failed <= report.ended
        if is_release and when <= pending_until(history, report.process, failed):
            return "the store was unavailable at its end"
        # The acquire had no answer and the job was requeued: the acquire may be applied late.
        is_acquire = is_fetch_error(event) and fetch["mono"] <= failed <= report.began
        if is_acquire and when <= failed + _UNANSWERED_LEASE_SECONDS:
            return "its acquire was not answered"
    return None


def _holder(lock, history):
    """Return the logical job and the copy that hold this run lock, or None."""
    jid, key = lock.value.rpartition(":")[0], lock.key[1:].partition("}")[0]
    jobs = [job for job in history.jobs.values() if job.key == key]
    return next(((job, job.copies[jid]) for job in jobs if jid in job.copies), None)
