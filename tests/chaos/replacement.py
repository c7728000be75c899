"""Replaced jobs: which job replaced which, why a replaced job ran, and which tombstones may exist.

Each reason is one of `reasons.REASONS`.
"""

from __future__ import annotations

import math

from tests.chaos.details import names_replaced, says_also_replaced, says_replaced
from tests.chaos.lifetimes import enqueued_at
from tests.chaos.settings import TTL
from tests.chaos.timing import (
    LONGEST_DELAY_SECONDS,
    REDIS_ROUNDING_SECONDS,
    STORE_SECONDS,
    TOMBSTONE_SECONDS,
    attempt_seconds,
)

# A worker that emits one of these has asked the store, which then writes the tombstone.
_STORE_REPLIED = {"renewed", "reacquired", "lapsed"}


def is_replaced(history, job, before):
    """Return whether Faktory has a replacement of this job that was sent before this time."""
    successors = (history.jobs[owner] for owner in history.successors[job.owner])
    times = (successor.replaced_since(job.owner) for successor in successors)
    return any(when is not None and when < before for when in times)


def never_locked_reason(history, job, acquired):
    """Return why a replacement never had its lock, or None if nothing explains it.

    Args:
        history: the run's history.
        job: the replacement.
        acquired: when a third job acquired the lock.
    """
    pushes = [push for push in job.pushes if push.replaces and push.sent_at <= acquired]
    if any(_has_concurrent_rival(history, job, push, acquired) for push in pushes):
        return "replaced_concurrently"
    if any(_found_another_lock(history, job, push) for push in pushes):
        return "replaced_job_ended"
    unknown = any(_may_have_failed(history, job, push) for push in pushes)
    return "replace_unknown" if unknown else None


def _has_concurrent_rival(history, job, push, acquired):
    """Return whether another job replaced the same one between this push and its swap."""
    return any(
        rival.sent_at <= acquired
        and rival.began <= _swapped_by(history, job, push)
        and push.began <= _swapped_by(history, history.jobs[owner], rival)
        for owner in history.successors[push.replaces] - {job.owner}
        for rival in history.jobs[owner].pushes
        if rival.replaces == push.replaces
        and history.jobs[owner].replaced_since(push.replaces) is not None
    )


def _swapped_by(history, job, push):
    """Return when the swap of a push was made at the latest: by its producer, else at FETCH."""
    if not _may_have_failed(history, job, push):
        return push.ended
    fetches = [f for copy in job.copies.values() if copy.replaces for f in copy.fetches]
    return min((f.get("decided", f["mono"]) for f in fetches), default=math.inf)


def _found_another_lock(history, job, push):
    """Return whether the swap of a push found another job's lock, after the replaced job's end."""
    replaced = history.jobs.get(push.replaces)
    acks = [r.began for r in replaced.reports if r.type == "ack"] if replaced else []
    return any(
        event["name"] == "lapsed" and event["writer"] == push.process and says_also_replaced(event)
        for event in job.events
        if min(acks, default=math.inf) <= event["mono"]
        and push.sent_at <= event["mono"] <= push.ended
    )


def _may_have_failed(history, job, push):
    """Return whether a producer may not have written the replacement after its push."""
    return (
        push.outcome_unknown
        or history.was_interrupted(push.process, push.began, push.ended)
        or any(
            (event["name"], event["writer"]) == ("store_error", push.process)
            for event in job.events
            if push.sent_at < event["mono"] <= push.ended
        )
    )


def runs_after_replacement(history, job):
    """Yield each run of a job that was replaced before the run ended, with a reason or None."""
    successors = (history.jobs[owner] for owner in history.successors[job.owner])
    since = min((_on_server_since(each, job.owner) for each in successors), default=math.inf)
    for run in job.runs:
        # A run that never ended was cut off with its worker, and counts by its beginning.
        last = run.ended if run.ended < math.inf else run.began
        if last > since:
            yield run, _run_reason(history, job, run)


def _on_server_since(job, owner):
    """Return when a replacement of `owner` was certainly on the server."""
    answered = [push.ended for push in job.pushes if push.accepted and push.replaces == owner]
    fetched = [
        enqueued_at(copy.fetches[0])
        for copy in job.copies.values()
        if copy.replaces == owner and copy.fetches
    ]
    return min([*answered, *fetched], default=math.inf)


def _run_reason(history, job, run):
    """Return why a replaced job ran, or None if nothing explains it."""
    fetched = run.fetch["mono"]
    known = [mono for mono in _tombstone_times(history, job.owner) if mono < fetched]
    if not known:
        return _not_written_reason(history, job, fetched)
    decided = run.fetch.get("decided", run.began)
    if history.lost_locks(max(known) - STORE_SECONDS, decided):
        return "redis_forgot"
    if _store_was_down(job, run, decided):
        return "store_down_at_fetch"
    expired = min(known) - STORE_SECONDS + TOMBSTONE_SECONDS - REDIS_ROUNDING_SECONDS
    return "tombstone_expired" if decided >= expired else None


def _not_written_reason(history, job, fetched):
    """Return why no replacement was known to be written when a job was fetched."""
    successors = [history.jobs[owner] for owner in history.successors[job.owner]]
    pushes = [(each, p) for each in successors for p in each.pushes if p.replaces == job.owner]
    pushes = [(each, push) for each, push in pushes if push.accepted or push.outcome_unknown]
    ended = [(each, push) for each, push in pushes if push.ended < fetched]
    if not ended:
        return "fetched_before_replace"
    unknown = all(_may_have_failed(history, *each) for each in ended)
    return "replace_unknown" if unknown else None


def _store_was_down(job, run, decided):
    """Return whether the store failed while the job was fetched; the job then runs."""
    return any(
        event["name"] == "store_error" and (event["writer"], event["jid"]) == (run.process, run.jid)
        for event in job.events
        if run.fetch["mono"] <= event["mono"] <= decided
    )


def _tombstone_times(history, owner):
    """Yield the times at which the tombstone of this owner certainly existed."""
    for successor in history.successors[owner]:
        job = history.jobs[successor]
        if job.replaced_since(owner) is None:
            continue
        # A job that was pushed again can have acquired the lock, without replacing another.
        acquired = any(push.acquired_at is not None for push in job.pushes)
        for event in job.events:
            if event["name"] == "confirmed" and _says_replaced(job, owner, event):
                yield event["mono"]
            copy = job.copies.get(event["jid"])
            is_replacement = copy is not None and copy.replaces == owner and not acquired
            if event["name"] in _STORE_REPLIED and is_replacement:
                yield event["mono"]
    for event in history.jobs[owner].events:
        if event["name"] == "superseded":
            yield event["mono"]


def _says_replaced(job, owner, event):
    """Return whether a producer reports that it wrote the replacement, at once or later."""
    if says_replaced(event):
        return names_replaced(event, owner)
    later = [p for p in job.pushes if p.replaces == owner and p.began <= event["mono"]]
    return bool(later) and all(push.acquired_at is None for push in job.pushes)


def is_tombstone(lock):
    """Return whether this key in Redis says that a job was replaced."""
    return lock.key.startswith("{") and "}:gone:" in lock.key


def tombstone_problem(lock, history):
    """Return why this tombstone must not exist, or None if it may."""
    key, _, owner = lock.key[1:].partition("}:gone:")
    if lock.ttl == -1:
        return "it never expires"
    replaced, successor = history.jobs.get(owner), history.jobs.get(lock.value)
    if replaced is None or replaced.key != key:
        return "no job has this owner and key"
    if successor is None or successor.key != key or successor.replaced_since(owner) is None:
        return "its value names no accepted replacement"
    allowed = max(TOMBSTONE_SECONDS, *(_longest_ttl(job) for job in (replaced, successor)))
    return f"docs/design.md allows {allowed:.0f} s" if lock.ttl > allowed else None


def _longest_ttl(job):
    """Return the longest TTL that a lock of this job can have got."""
    attempts = [attempt_seconds(fetch["failures"]) for fetch in job.fetches]
    return max([LONGEST_DELAY_SECONDS + TTL, *attempts])
