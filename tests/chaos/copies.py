"""Why a work has two copies, or comes to a good end twice: as `tests.chaos.lapses` has it."""

from __future__ import annotations

from tests.chaos.settings import RESERVE_FOR

# A handler that has just ended when its process is: nobody has been told yet.
_JUST = 1.0


def copies_reason(facts, work, one, other):
    """Why there were two copies of one work; None where nothing stated fits."""
    lines = [_ancestry(work, one), _ancestry(work, other)]
    for requeue in (p for line in lines for ancestor in line for p in _requeues(work, ancestor)):
        if requeue.answer != "accepted":
            return "requeue_open"
    if lines[0][-1] != lines[1][-1] and any(push.is_open for push in work.pushes):
        return "push_open"
    return None


def rerun_reason(facts, work, earlier, later):
    """Why a work came to a good end twice; None where nothing stated fits.

    Args:
        facts: of the run.
        work: which.
        earlier: the copy and the line of a good end.
        later: the copy and the line of a later one.
    """
    (copy, end), (other, again) = earlier, later
    if copy is not other:
        reason = copies_reason(facts, work, copy, other) or _cut_off(facts, copy, end, other)
        is_rerun = copy.jid in _ancestry(work, other)
    else:
        reason = None
        is_rerun = _run_of(copy, end) is not _run_of(copy, again)
    if reason is None and is_rerun and _expired(copy, end):
        return "reservation_expired"
    return reason


def _expired(copy, end):
    """The run that ended so was not acknowledged, and the next one came when its time was over."""
    run = _run_of(copy, end)
    if run is None:
        return False
    again = next((fetch for fetch in copy.fetches if fetch["mono"] > run["mono"]), None)
    return (
        again is not None
        and again["mono"] - run["mono"] >= RESERVE_FOR
        and not any(
            report.what == "ack" and report.answer == "accepted"
            for report in copy.reports
            if report.began < again["mono"]
        )
    )


def _cut_off(facts, copy, end, other):
    """The worker was told to end, and put back a job whose handler had ended that very moment."""
    ended, how = facts.ends.get(end["who"], (0, None))
    for report in copy.reports:
        near = report.what == "requeue" and abs(report.began - end["mono"]) < _JUST
        if near and other.parent == copy.jid and how == "terminate" and ended <= report.began:
            return "cut_off_at_its_end"
    return None


def _run_of(copy, end):
    """The fetch of the run that ended so."""
    lines = [f for f in copy.fetches if f["who"] == end["who"] and f["mono"] <= end["mono"]]
    return lines[-1] if lines else None


def _ancestry(work, copy):
    """The jids from a copy up to the one that was pushed."""
    jids = [copy.jid]
    while (parent := work.copies.get(jids[-1])) is not None and parent.parent:
        jids.append(parent.parent)
    return jids


def _requeues(work, jid):
    copy = work.copies.get(jid)
    return [r for r in copy.reports if r.what == "requeue"] if copy is not None else []
