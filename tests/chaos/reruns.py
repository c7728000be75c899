"""Reruns: why a logical job ran to its end twice, or had two copies at one time.

Each reason is one of `reasons.REASONS`.
"""

from __future__ import annotations

from tests.chaos.settings import RESERVE_FOR

# If a handler ends this close to its worker's end, the worker may not know the result.
_RESULT_SECONDS = 1.0


def two_copies_reason(job, one, other):
    """Return why two copies of one logical job existed, or None if nothing explains it."""
    first, second = _ancestry(job, one), _ancestry(job, other)
    shared = next((jid for jid in first if jid in second), None)
    if shared is None:
        roots = {first[-1], second[-1]}
        unknown = any(push.outcome_unknown for push in job.pushes if push.jid in roots)
        return "push_unknown" if unknown else None
    # A requeue further back explains two copies of the shared one, not these two.
    answered = ("accepted", "refused")
    unknown = any(requeue.status not in answered for requeue in _requeues(job, shared))
    return "requeue_unknown" if unknown else None


def rerun_reason(history, job, earlier, later):
    """Return why a logical job ran to its end twice, or None if nothing explains it.

    Args:
        history: the run's history.
        job: the logical job.
        earlier: the copy and the journal entry of a successful end.
        later: the copy and the journal entry of a later one.
    """
    (copy, end), (other, later_end) = earlier, later
    if copy is not other:
        reason = two_copies_reason(job, copy, other)
        reason = reason or _requeued_at_its_end(history, copy, end, other)
        is_rerun = copy.jid in _ancestry(job, other)
    else:
        reason = None
        is_rerun = _fetch_before(copy, end) is not _fetch_before(copy, later_end)
    if reason is None and is_rerun and _expired(copy, end):
        return "reservation_expired"
    return reason


def _expired(copy, end):
    """Return whether this run had no accepted ACK, and the next FETCH came after its expiry."""
    fetch = _fetch_before(copy, end)
    if fetch is None:
        return False
    following = next((each for each in copy.fetches if each["mono"] > fetch["mono"]), None)
    return (
        following is not None
        and following["mono"] - fetch["mono"] >= RESERVE_FOR
        and not any(
            report.type == "ack" and report.status == "accepted"
            for report in copy.reports
            if report.began < following["mono"]
        )
    )


def _requeued_at_its_end(history, copy, end, other):
    """Return the reason if a stopping worker requeued a job after its handler had just ended."""
    ended, how = history.ends.get(end["writer"], (0, None))
    for report in copy.reports:
        is_close = report.type == "requeue" and abs(report.began - end["mono"]) < _RESULT_SECONDS
        if is_close and other.parent == copy.jid and how == "terminate" and ended <= report.began:
            return "stopped_at_job_end"
    return None


def _fetch_before(copy, end):
    """Return the FETCH of the run that ended with this entry."""
    fetches = [
        fetch
        for fetch in copy.fetches
        if fetch["writer"] == end["writer"] and fetch["mono"] <= end["mono"]
    ]
    return fetches[-1] if fetches else None


def _ancestry(job, copy):
    """Return the jids from a copy up to the one that was pushed first."""
    jids = [copy.jid]
    while (copy := job.copies.get(jids[-1])) is not None and copy.parent not in {None, *jids}:
        jids.append(copy.parent)
    return jids


def _requeues(job, jid):
    copy = job.copies.get(jid)
    return [r for r in copy.reports if r.type == "requeue"] if copy is not None else []
