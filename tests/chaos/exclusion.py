"""Exclusive jobs: runs at the same time, requeues for a run that was over, missed pushes."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import combinations

from tests.chaos.details import is_fetch_error, is_run_lock_error, running_jid
from tests.chaos.settings import EXCLUSIVE, RESERVE_FOR, has_jobtype
from tests.chaos.timing import RELEASE_SECONDS, RUN_LEASE_SECONDS, RUN_LOCK_SECONDS, STORE_SECONDS

# A release that the store failed is tried again every five seconds at the longest.
_RELEASE_RETRY_SECONDS = 5.0

# If its acquire had no answer, a run lock lasts for its lease and a moment.
_UNANSWERED_LEASE_SECONDS = RUN_LEASE_SECONDS + 2.0


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
    """Yield each `run_blocked` event for a run that was over.

    Each comes with the reason why its run lock was not released, or None.
    """
    for job in history.jobs.values():
        for event in job.events:
            if event["name"] == "run_blocked":
                jid, when = running_jid(event), event["mono"]
                others = [each for each in history.jobs.values() if each.key == job.key]
                other = next((each for each in others if jid in each.copies), None)
                report = _end_of_run(other, jid, when) if other is not None else None
                if report is not None and when > report.ended + RELEASE_SECONDS:
                    yield event, _why_not_released(history, other, jid, report, when)


def _end_of_run(job, jid, when):
    """Return the report of the latest run of this jid before `when`, or None if it was not over."""
    copy = job.copies[jid]
    fetches = [f for f in copy.fetches if f["mono"] < when and not _was_blocked(job, f)]
    return _report_of(copy, fetches[-1], when) if fetches else None


def _report_of(copy, fetch, when):
    """Return the report of the run that began with this FETCH, if it had its status before."""
    later = [each["mono"] for each in copy.fetches if each["mono"] > fetch["mono"]]
    until = min(later, default=math.inf)
    reports = [r for r in copy.reports if r.process == fetch["writer"] and r.ended < when]
    return next((r for r in reports if fetch["mono"] < r.began < until), None)


def _was_blocked(job, fetch):
    """Return whether a fetched job was blocked by another run, or by an attempt of its own."""
    blocked = ("run_blocked", fetch["jid"], fetch["writer"])
    return any(
        (event["name"], event["jid"], event["writer"]) == blocked
        for event in job.events
        if fetch["mono"] <= event["mono"] <= fetch.get("decided", math.inf)
    )


def _why_not_released(history, job, jid, report, when):
    process = report.process
    if history.was_interrupted(process, report.began, report.ended + RELEASE_SECONDS):
        return f"{process} was killed or stopped at its end"
    has_ended = history.ends.get(process, (math.inf, None))[0] <= when
    for event in job.events:
        if (event["name"], event["jid"], event["writer"]) == ("store_error", jid, process):
            failed = event["mono"]
            # The acquire had no answer and the job was requeued: the acquire may be applied late.
            is_acquire = is_fetch_error(event) and failed <= report.began
            if is_acquire and when <= failed + _UNANSWERED_LEASE_SECONDS:
                return "its acquire was not answered"
            is_release = is_run_lock_error(event) and failed >= report.began
            if is_release and (has_ended or when <= _released_by(history, failed)):
                return "the store was unavailable at its end"
    return None


def _released_by(history, since):
    """Return when a release that failed at `since` is done at the latest.

    The retries succeed after the faults of Redis that follow each other without a pause.
    """
    retry_seconds = _RELEASE_RETRY_SECONDS + STORE_SECONDS
    for fault in sorted(history.faults, key=lambda each: each["began"]):
        if fault["target"] == "redis" and fault["began"] <= since + retry_seconds:
            since = max(since, fault["ended"])
    return since + retry_seconds


def missed_pushes(history):
    """Yield each duplicate of an exclusive job that had begun before and did not run again.

    Each comes with the job that held the lock.
    """
    for job in history.jobs.values():
        for push in job.pushes if has_jobtype(job.key, EXCLUSIVE) else ():
            holder = history.jobs.get(push.holder) if push.confirmed else None
            if holder is not None and not any(run.began > push.began for run in holder.runs):
                yield push, holder
