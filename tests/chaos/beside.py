"""What is left beside the locks when no job is: run locks, and tombstones."""

from __future__ import annotations

import math

from tests.chaos.places import TOMBSTONE_SECONDS
from tests.chaos.quiet import latest_retry
from tests.chaos.settings import RESERVE_FOR, TTL
from tests.chaos.turns import RUN_LEASE, RUN_LOCK

_REAPING = 30
_LONGEST_DELAY = 10 + 10

# Redis counts in whole seconds, rounded up.
_ROUNDING = 1.0

_FREEING = 4.0


def is_run_lock(lock):
    """Whether it says that an exclusive job runs."""
    return lock.key.startswith("{") and lock.key.endswith("}:run")


def is_tombstone(lock):
    """Whether it says that a job was replaced."""
    return lock.key.startswith("{") and "}:gone:" in lock.key


def why_no_tombstone(lock, facts):
    """Why there may be no such tombstone; None where there may."""
    key, _, owner = lock.key[1:].partition("}:gone:")
    if lock.ttl == -1:
        return "it lives for ever"
    replaced, successor = facts.works.get(owner), facts.works.get(lock.value)
    if replaced is None or replaced.key != key:
        return "it is nobody's"
    if successor is None or successor.key != key or successor.replaces(owner) is None:
        return "who is named in it was not accepted in this place"
    allowed = max(TOMBSTONE_SECONDS, *(_longest(work) for work in (replaced, successor)))
    return f"docs/design.md allows {allowed:.0f} s" if lock.ttl > allowed else None


def _longest(work):
    """The longest time that a lock of this work can have been given."""
    failures = [fetch["failures"] for copy in work.copies.values() for fetch in copy.fetches]
    attempts = [RESERVE_FOR + _REAPING + latest_retry(number) + TTL for number in failures]
    return max([_LONGEST_DELAY + TTL, *attempts])


def why_no_run_lock(lock, facts, now):
    """Why there may be no such run lock; None where there may.

    Args:
        lock: a run lock, its value `<jid>:<what makes it one attempt's>`.
        facts: of the run.
        now: when it was seen, by the monotonic clock.
    """
    if lock.ttl == -1:
        return "it lives for ever"
    if lock.ttl > RUN_LOCK:
        return f"docs/design.md allows {RUN_LOCK} s"
    holder = _holder(lock, facts)
    if holder is None or not holder[1].fetches:
        return "nobody has fetched its job"
    _, copy = holder
    fetch = copy.fetches[-1]
    # It is held before the handler starts, and taken for so long before that.
    runs = [run for run in copy.runs if run.fetch is fetch]
    held = runs[-1].began if runs else fetch["mono"] + RUN_LEASE
    if now + lock.ttl > held + RUN_LOCK + _ROUNDING:
        return f"it was held anew when its job had run for {now + lock.ttl - held - RUN_LOCK:.0f} s"
    return None if why_run_lock_left(lock, facts) else "its job was reported, and did not free it"


def why_run_lock_left(lock, facts):
    """What has kept its worker from freeing it; None where nothing is known to."""
    work, copy = _holder(lock, facts)
    fetch = copy.fetches[-1]
    report = next((r for r in copy.reports if r.began >= fetch["mono"]), None)
    ended, _ = facts.ends.get(fetch["who"], (math.inf, None))
    if report is None:
        return f"{fetch['who']} ended amid its run" if ended < math.inf else None
    if facts.was_stopped(report.who, report.began, report.ended + _FREEING):
        return f"{report.who} was killed or stopped at its end"
    owes = _owes(work, copy.jid, fetch)
    gone = facts.gone.get(report.who, ended)
    if not owes or gone >= facts.calm:
        return None
    return f"the store failed it, and {report.who} was ended"


def _owes(work, jid, fetch):
    """Whether the store failed the freeing of the run lock that was taken since this FETCH."""
    return any(
        (event["name"], event["jid"], event["who"]) == ("store_error", jid, fetch["who"])
        and event["detail"].startswith(("run lock", "FETCH"))
        for event in work.events
        if event["mono"] >= fetch["mono"]
    )


def _holder(lock, facts):
    """The work of which a job holds this run lock, and the copy; None where there is none."""
    jid, key = lock.value.rpartition(":")[0], lock.key[1:].partition("}")[0]
    works = [work for work in facts.works.values() if work.key == key]
    return next(((work, work.copies[jid]) for work in works if jid in work.copies), None)
