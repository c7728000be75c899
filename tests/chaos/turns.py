"""Exclusive jobs: who ran beside whom, who waited for nobody, and which push was forgotten."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import combinations

from tests.chaos.settings import EXCLUSIVE, RESERVE_FOR, is_of

RUN_LOCK = RESERVE_FOR + 30
"""Seconds that a run lock stands, counted from the FETCH of its job at the earliest."""

RUN_LEASE = 30
"""Seconds for which it is taken, until that is known."""

# A run lock is freed at once, and the store has two seconds to answer; what it failed is tried
# again every five at the longest.
_FREEING = 4.0
_TRYING_AGAIN = 5.0 + 2.0

# A run lock that is taken for somebody who does not hear of it stands so long, and a moment.
_UNHEARD = RUN_LEASE + 2.0


def at_once(facts):
    """Pairs of runs of one key that went on at one time: the later, the earlier, why (or None)."""
    by_key = defaultdict(list)
    for work in facts.works.values():
        if is_of(work.key, EXCLUSIVE):
            by_key[work.key] += [(run.began, work, run) for run in work.runs]
    for runs in by_key.values():
        ordered = sorted(runs, key=lambda each: each[0])
        for (_, one, first), (_, other, second) in combinations(ordered, 2):
            if second.began < _until(facts, one, first):
                yield (other, second), (one, first), _why_at_once(facts, first, second)


def _until(facts, work, run):
    """Until when a handler ran for certain."""
    if run.ended < math.inf:
        return run.ended
    # It was killed: with its worker, or by it, before its job was put back.
    ended, how = facts.ends.get(run.who, (run.began, None))
    reports = [r.began for r in work.copies[run.jid].reports if r.who == run.who]
    reported = min((began for began in reports if began > run.began), default=math.inf)
    return min(reported, ended if how == "kill" else math.inf, facts.gone.get(run.who, math.inf))


def _why_at_once(facts, *runs):
    """Why two handlers ran at one time; None where nothing stated fits."""
    holder, other = sorted(runs, key=lambda run: run.fetch["mono"])
    held, taken = holder.fetch["mono"], other.fetch.get("answered", other.began)
    if any(line["ended"] >= held and line["began"] <= taken for line in facts.forgotten):
        return "redis_forgot"
    if taken < held + RUN_LOCK:
        return None
    # Its lock had run out: it has gone on for so long, or began late, having stood still.
    if holder.began < held + RESERVE_FOR:
        return "ran_past_its_reservation"
    return "stood_still" if facts.was_stopped(holder.who, held, holder.began) else None


def held_up(facts):
    """Jobs that were put back for a run that was over: the event, with a word why, or None."""
    for work in facts.works.values():
        for event in work.events:
            if event["name"] == "run_blocked":
                jid, when = event["detail"].split()[0], event["mono"]
                others = [each for each in facts.works.values() if each.key == work.key]
                other = next((each for each in others if jid in each.copies), None)
                report = _end_of(other, jid, when) if other is not None else None
                if report is not None and when > report.ended + _FREEING:
                    yield event, _why_not_freed(facts, other, jid, report, when)


def _end_of(work, jid, when):
    """The report of the latest run of this jid before that, if it was over then."""
    copy = work.copies[jid]
    fetches = [f for f in copy.fetches if f["mono"] < when and not _was_excluded(work, f)]
    return _report_of(copy, fetches[-1], when) if fetches else None


def _report_of(copy, fetch, when):
    """How the run that began with this FETCH was reported, if that was answered before."""
    later = [each["mono"] for each in copy.fetches if each["mono"] > fetch["mono"]]
    until = min(later, default=math.inf)
    reports = [r for r in copy.reports if r.who == fetch["who"] and r.ended < when]
    return next((r for r in reports if fetch["mono"] < r.began < until), None)


def _was_excluded(work, fetch):
    """Whether a fetched job did not have its turn: another ran, or an attempt of its own."""
    return any(
        (event["name"], event["jid"], event["who"]) == ("run_blocked", fetch["jid"], fetch["who"])
        for event in work.events
        if fetch["mono"] <= event["mono"] <= fetch.get("answered", math.inf)
    )


def _why_not_freed(facts, work, jid, report, when):
    if facts.was_stopped(report.who, report.began, report.ended + _FREEING):
        return f"{report.who} was killed or stopped at its end"
    gone = facts.ends.get(report.who, (math.inf, None))[0] <= when
    for event in work.events:
        if (event["name"], event["jid"], event["who"]) == ("store_error", jid, report.who):
            told, mono = event["detail"], event["mono"]
            # A put-back that did not hear of its turn: it may be carried out late.
            if told.startswith("FETCH") and mono <= report.began and when <= mono + _UNHEARD:
                return "its taking was not answered"
            owed = told.startswith("run lock") and mono >= report.began
            if owed and (gone or when <= _back(facts, mono) + _TRYING_AGAIN):
                return "the store was away at its end"
    return None


def _back(facts, since):
    """When the store was itself again: the faults that follow each other without a rest over."""
    for fault in sorted(facts.faults, key=lambda each: each["began"]):
        if fault["target"] == "redis" and fault["began"] <= since + _TRYING_AGAIN:
            since = max(since, fault["ended"])
    return since


def missed(facts):
    """Pushes that were taken for duplicates of a job that had begun: nothing has run since."""
    for work in facts.works.values():
        for push in work.pushes if is_of(work.key, EXCLUSIVE) else ():
            holder = facts.works.get(push.holder) if push.confirmed else None
            if holder is not None and not any(run.began > push.began for run in holder.runs):
                yield push, holder
