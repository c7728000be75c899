"""Run locks that are left after the last job: which may exist, and why they were not released."""

from __future__ import annotations

import math

from tests.chaos.details import is_fetch_error, is_run_lock_error
from tests.chaos.timing import (
    REDIS_ROUNDING_SECONDS,
    RELEASE_SECONDS,
    RUN_LEASE_SECONDS,
    RUN_LOCK_SECONDS,
)


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
    left = why_run_lock_left(lock, history)
    return None if left else "its job was reported, but the lock was not released"


def why_run_lock_left(lock, history):
    """Return why its worker did not release this run lock, or None if nothing explains it."""
    job, copy = _holder(lock, history)
    fetch = copy.fetches[-1]
    report = next((r for r in copy.reports if r.began >= fetch["mono"]), None)
    worker = fetch["writer"]
    ended, _ = history.ends.get(worker, (math.inf, None))
    if report is None:
        return f"{worker} ended during its run" if ended < math.inf else None
    process = report.process
    if history.was_interrupted(process, report.began, report.ended + RELEASE_SECONDS):
        return f"{process} was killed or stopped at its end"
    exited = history.exits.get(process, ended)
    if not _release_failed(job, copy.jid, fetch) or exited >= history.faults_ended:
        return None
    return f"the store failed, and {process} was ended"


def _release_failed(job, jid, fetch):
    """Return whether the store failed the release of the run lock since this FETCH."""
    failed = ("store_error", jid, fetch["writer"])
    return any(
        (event["name"], event["jid"], event["writer"]) == failed
        and (is_run_lock_error(event) or is_fetch_error(event))
        for event in job.events
        if event["mono"] >= fetch["mono"]
    )


def _holder(lock, history):
    """Return the logical job and the copy that hold this run lock, or None."""
    jid, key = lock.value.rpartition(":")[0], lock.key[1:].partition("}")[0]
    jobs = [job for job in history.jobs.values() if job.key == key]
    return next(((job, job.copies[jid]) for job in jobs if jid in job.copies), None)
