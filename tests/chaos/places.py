"""Jobs that take each other's place: who was replaced, by whom, and who runs all the same."""

from __future__ import annotations

import math

from tests.chaos.lives import enqueued

# What the library sees to (`faktory_unique.change.TOMBSTONE`): it lives no shorter.
TOMBSTONE_SECONDS = 90.0

# The longest that the store has for one change, connecting included.
_ONE_CHANGE = 2.0

_ROUNDING = 1.0

# By these a worker tells that it has asked the store, which writes the tombstone with its answer.
_ASKED = {"renewed", "reacquired", "lapsed"}


def is_replaced(facts, work, before):
    """Whether a job that Faktory has was sent in the place of this one before that."""
    sent = (facts.works[owner].replaces(work.owner) for owner in facts.successors[work.owner])
    return any(when is not None and when < before for when in sent)


def no_place_reason(facts, work, taken):
    """Why a job that was pushed in another's place never had its lock; None: nothing stated fits.

    Args:
        facts: of the run.
        work: the one that has none.
        taken: when a third had the lock.
    """
    pushes = [push for push in work.pushes if push.replaces and push.sent <= taken]
    for push in pushes:
        for rival in facts.successors[push.replaces] - {work.owner}:
            since = facts.works[rival].replaces(push.replaces)
            if since is not None and since <= taken:
                return "replaced_at_once"
    if any("has the place of" in e["detail"] for e in work.events if e["name"] == "lapsed"):
        return "place_was_taken"
    return "swap_open" if any(_is_open(facts, work, push) for push in pushes) else None


def _is_open(facts, work, push):
    """Whether a producer may not have seen to the swap that was to follow its push."""
    return (
        push.is_open
        or facts.was_stopped(push.who, push.began, push.ended)
        or any(
            (event["name"], event["who"]) == ("store_error", push.who)
            for event in work.events
            if push.sent < event["mono"] <= push.ended
        )
    )


def ran_replaced(facts, work):
    """The runs of a work that was replaced, by then or meanwhile: each with why, or None."""
    successors = (facts.works[owner] for owner in facts.successors[work.owner])
    since = min((_there(each, work.owner) for each in successors), default=math.inf)
    for run in work.runs:
        # One that never ended was cut off by the end of its worker, and counts by its beginning.
        last = run.ended if run.ended < math.inf else run.began
        if last > since:
            yield run, _reason(facts, work, run)


def _there(work, owner):
    """When a job that was pushed in this owner's place was on the server for certain."""
    answered = [p.ended for p in work.pushes if p.accepted and p.replaces == owner]
    copies = [copy for copy in work.copies.values() if copy.replaces == owner and copy.fetches]
    return min([*answered, *(enqueued(copy.fetches[0]) for copy in copies)], default=math.inf)


def _reason(facts, work, run):
    """Why a job ran that was replaced; None where nothing stated fits."""
    fetched = run.fetch["mono"]
    known = [mono for mono in _buried(facts, work.owner) if mono < fetched]
    if not known:
        return _not_swapped(facts, work, fetched)
    decided = run.fetch.get("answered", run.began)
    written = max(known) - _ONE_CHANGE
    if any(f["ended"] >= written and f["began"] <= decided for f in facts.forgotten):
        return "redis_forgot"
    if _asked_in_vain(work, run, decided):
        return "aside_unasked"
    is_over = decided >= min(known) - _ONE_CHANGE + TOMBSTONE_SECONDS - _ROUNDING
    return "tombstone_over" if is_over else None


def _not_swapped(facts, work, fetched):
    """Why nobody knew of the swap when a job was fetched that was to be replaced."""
    successors = [facts.works[owner] for owner in facts.successors[work.owner]]
    pushes = [(each, p) for each in successors for p in each.pushes if p.replaces == work.owner]
    pushes = [(each, push) for each, push in pushes if push.accepted or push.is_open]
    if all(push.ended >= fetched for _, push in pushes):
        return "fetched_before_swap"
    return "swap_open" if any(_is_open(facts, *each) for each in pushes) else None


def _asked_in_vain(work, run, decided):
    """Whether the store was away when the job was fetched, which then runs."""
    return any(
        event["name"] == "store_error" and (event["who"], event["jid"]) == (run.who, run.jid)
        for event in work.events
        if run.fetch["mono"] <= event["mono"] <= decided
    )


def _buried(facts, owner):
    """When it was known that the tombstone of this owner was there."""
    for successor in facts.successors[owner]:
        work = facts.works[successor]
        if work.replaces(owner) is None:
            continue
        for event in work.events:
            if event["name"] == "confirmed" and _in_place_of(work, owner, event):
                yield event["mono"]
            copy = work.copies.get(event["jid"])
            # One that was pushed again can have had the lock already, and had nobody's place.
            took = any(push.took is not None for push in work.pushes)
            if event["name"] in _ASKED and copy is not None and copy.replaces == owner and not took:
                yield event["mono"]
    for event in facts.works[owner].events:
        if event["name"] == "superseded":
            yield event["mono"]


def _in_place_of(work, owner, event):
    """Whether a producer tells that it has swapped the lock, at once or later."""
    if event["detail"].startswith("in the place of"):
        return event["detail"].endswith(owner)
    later = [p for p in work.pushes if p.replaces == owner and p.began <= event["mono"]]
    return bool(later) and all(push.took is None for push in work.pushes)
