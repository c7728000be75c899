"""Exclusive jobs: runs at the same time, requeues for a run that was over, missed pushes."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import combinations

from tests.chaos.details import running_jid, says_run_lock_lapsed
from tests.chaos.run_locks import why_release_failed
from tests.chaos.settings import EXCLUSIVE, LEASE, RESERVE_FOR, has_jobtype
from tests.chaos.timing import REDIS_ROUNDING_SECONDS, RUN_LEASE_SECONDS, RUN_LOCK_SECONDS


def concurrent_runs(history):
    """Yield pairs of exclusive runs of one key at the same time.

    Each is a tuple: the later job and run, the earlier job and run, and the reason or None.
    """
    by_key = defaultdict(list)
    for job in history.jobs.values():
        if has_jobtype(job.key, EXCLUSIVE):
            by_key[job.key] += [(run.began, job, run) for run in job.runs]
    for runs in by_key.values():
        ordered = sorted(runs, key=lambda each: each[0])
        for (_, job, first), (_, other, second) in combinations(ordered, 2):
            if second.began < _known_end(history, job, first):
                reason = _concurrency_reason(history, first, second)
                yield (other, second), (job, first), reason


def _known_end(history, job, run):
    """Return until when a handler certainly ran."""
    if run.ended < math.inf:
        return run.ended
    # The handler was killed: with its worker, or by its worker before the job was requeued.
    ended, how = history.ends.get(run.process, (run.began, None))
    reports = [r.began for r in job.copies[run.jid].reports if r.process == run.process]
    reported = min((began for began in reports if began > run.began), default=math.inf)
    killed = ended if how == "kill" else math.inf
    return min(reported, killed, history.exits.get(run.process, math.inf))


def _concurrency_reason(history, *runs):
    """Return why two handlers ran at the same time, or None if nothing explains it."""
    first, second = sorted(runs, key=lambda run: run.fetch["mono"])
    held, acquired = first.fetch["mono"], second.fetch.get("decided", second.began)
    if history.lost_locks(held, acquired):
        return "redis_forgot"
    if acquired < held + RUN_LOCK_SECONDS:
        return None
    # The run lock had expired: the run took too long, or it began late after a stop.
    if first.began < held + RESERVE_FOR:
        return "ran_past_reservation"
    interrupted = history.was_interrupted(first.process, held, first.began)
    return "worker_stopped" if interrupted else None


def requeues_for_ended_runs(history):
    """Yield each `run_blocked` event of a job that was fetched when the run in its way was over.

    Each comes with the reason why the run lock was not released, or None. An event that names no
    running job is yielded, too.
    """
    for job in history.jobs.values():
        for event in job.events:
            if event["name"] != "run_blocked":
                continue
            jid, when = running_jid(event), _fetched_at(job, event)
            others = [each for each in history.jobs.values() if each.key == job.key]
            other = next((each for each in others if jid in each.copies), None)
            run = _ended_run(other, jid, when) if other is not None else None
            if run is not None:
                yield event, _why_not_released(history, other, jid, run, when)
            elif other is None:
                yield event, _why_lapsed(history, event, when)


def _why_lapsed(history, event, fetched):
    """Return why a run lock lapsed before it was held, or None: also if no job has this jid."""
    if says_run_lock_lapsed(event):
        if history.lost_locks(fetched, event["mono"]):
            return "Redis lost all locks"
        if event["mono"] > fetched + RUN_LEASE_SECONDS:
            return "its worker was too slow"
    return None


def _fetched_at(job, event):
    """Return when the worker that emitted this event had fetched the job."""
    fetches = job.copies[event["jid"]].fetches
    times = [f["mono"] for f in fetches if f["writer"] == event["writer"]]
    return max(when for when in times if when <= event["mono"])


def _ended_run(job, jid, when):
    """Return FETCH and report of the latest run of this jid before `when`, if it was over."""
    copy = job.copies[jid]
    fetches = [f for f in copy.fetches if f["mono"] < when and not _was_blocked(job, f)]
    if not fetches:
        return None
    fetch = fetches[-1]
    later = [each["mono"] for each in copy.fetches if each["mono"] > fetch["mono"]]
    until = min(later, default=math.inf)
    reports = [r for r in copy.reports if r.process == fetch["writer"] and r.ended < when]
    report = next((r for r in reports if fetch["mono"] < r.began < until), None)
    return None if report is None else (fetch, report)


def _was_blocked(job, fetch):
    """Return whether a fetched job was blocked by another run, or by an attempt of its own."""
    blocked = ("run_blocked", fetch["jid"], fetch["writer"])
    return any(
        (event["name"], event["jid"], event["writer"]) == blocked
        for event in job.events
        if fetch["mono"] <= event["mono"] <= fetch.get("decided", math.inf)
    )


def _why_not_released(history, job, jid, run, when):
    fetch, report = run
    # It was held before the handler began. Redis rounds TTLs up.
    if when > report.began + RUN_LOCK_SECONDS + REDIS_ROUNDING_SECONDS:
        return None
    return why_release_failed(history, job, jid, fetch, report, when)


def missed_pushes(history):
    """Yield each duplicate of an exclusive job that had begun before and did not run again.

    Each comes with the job that held the lock. If that lock was only leased, the producer was asked
    to push again.
    """
    for job in history.jobs.values():
        for push in job.pushes if has_jobtype(job.key, EXCLUSIVE) else ():
            holder = history.holder(push)
            if holder is None or any(run.began > push.began for run in holder.runs):
                continue
            if push.confirmed or not _may_be_leased(holder, push):
                yield push, holder


def _may_be_leased(holder, push):
    """Return whether this push may have found a lease of the holder: a push of it set that."""
    longest = LEASE + REDIS_ROUNDING_SECONDS
    return any(p.began <= push.ended and push.began <= p.ended + longest for p in holder.pushes)
