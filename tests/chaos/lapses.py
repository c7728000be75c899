"""Why two live jobs of one key can be: each lapse that the guarantees state, told from the facts.

A reason, one of `REASONS`, is given only where the facts show it for these very jobs at that time.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.chaos.copies import copies_reason
from tests.chaos.locks import attempt
from tests.chaos.places import no_place_reason
from tests.chaos.settings import EXCLUSIVE, LEASE, TTL, is_of

# Redis counts in whole seconds, rounded up, from a moment within the step that set it.
_ROUNDING = 1.0


# What was not pushed gives back what it took.
_GIVEN_BACK = {"not_sent", "refused"}

# The longest that the store has for one change, connecting included.
_ONE_CHANGE = 2.0

# What gives a lock another time, if it stands, and makes none.
_MAKE_NONE = {"confirmed", "requeue"}


class _Setting(NamedTuple):
    """A step that gave a lock its time: when it began, for how long, and by what event."""

    began: float
    ttl: float
    name: str


def overlap_reason(facts, first, copy, push):
    """Why a job was pushed while another work's copy was live; None where nothing stated fits.

    Args:
        facts: of the run.
        first: the work that was live.
        copy: of which this copy was.
        push: of the other work.
    """
    if push.status == "unguarded":
        return "unguarded"
    taken = next(when for when in (push.took, push.sent, push.ended) if when is not None)
    settings = [each for each in _settings(facts, first) if each.began <= taken]
    standing = [each for each in settings if each.name not in _MAKE_NONE]
    if not standing:
        unguarded = first.event("unguarded", before=taken)
        return "unguarded" if unguarded else no_place_reason(facts, first, taken)
    began = standing[-1].began
    if _within(facts.forgotten, began, taken):
        return "redis_forgot"
    freed_by = _freed_by(first, copy, began, taken)
    if freed_by is not None:
        return copies_reason(facts, first, copy, freed_by)
    if _freed_unheard(first, began, taken):
        return "freed_unheard"
    return _time_over(facts, first, [s for s in settings if s.began >= began], taken)


def _settings(facts, work):
    """What has set the lock of a work, and was not given back, in order."""
    taken = [p for p in work.pushes if p.took is not None and p.status not in _GIVEN_BACK]
    found = [_Setting(push.began, LEASE, "acquired") for push in taken]
    for event in work.events:
        if event["name"] == "confirmed":
            ttl = TTL + max((push.wait for push in work.pushes), default=0)
            # Nothing was leased to one that takes another's place.
            leased = any(push.began <= event["mono"] for push in taken)
            swapped = not leased or event["detail"].startswith("in the place of")
            found.append(_Setting(event["mono"], ttl, "swapped" if swapped else "confirmed"))
        elif event["name"] in {"renewed", "reacquired"}:
            fetch = _fetch_before(work, event)
            if fetch is not None:
                # One that the store failed at first is made later.
                began = max(fetch["mono"], event["mono"] - _ONE_CHANGE)
                found.append(_Setting(began, attempt(fetch["failures"]), "renewed"))
    if is_of(work.key, EXCLUSIVE):
        found += _requeues(work, found)
    return sorted(found)


def _requeues(work, settings):
    """What has given the lock of a job that waits its turn a longer time, while it stood."""
    until = max((each.began + each.ttl for each in settings), default=0)
    reports = [(report.began, c, report) for c in work.copies.values() for report in c.reports]
    for began, copy, report in sorted(reports, key=lambda each: each[0]):
        failed = any(
            event["name"] == "store_error" and event["detail"].startswith("REQUEUE")
            for event in work.events
            if began <= event["mono"] <= report.ended
        )
        if report.what == "requeue" and began < until and not failed:
            failures = max((fetch["failures"] for fetch in copy.fetches), default=0)
            until = max(until, began + attempt(failures))
            yield _Setting(began, attempt(failures), "requeue")


def _freed_unheard(work, since, until):
    """Whether a FETCH that was to free the lock may have, and put its job back, hearing nothing."""
    return is_of(work.key, EXCLUSIVE) and any(
        event["name"] == "store_error"
        and event["detail"].startswith("FETCH")
        and "connecting to" not in event["detail"]  # nothing was sent
        for event in work.events
        if since < event["mono"] < until + _ONE_CHANGE
    )


def _fetch_before(work, event):
    copy = work.copies.get(event["jid"])
    lines = copy.fetches if copy is not None else []
    return next((f for f in reversed(lines) if f["mono"] <= event["mono"]), None)


def _within(lines, since, until):
    return [line for line in lines if line["ended"] >= since and line["began"] <= until]


def _freed_by(work, copy, since, until):
    """The other copy whose ACK has freed the lock, or may have, since it was set."""
    return next(
        (
            other
            for other in work.copies.values()
            if other is not copy
            for report in other.reports
            if report.what == "ack" and report.answer in {"accepted", None}
            if report.ended >= since and report.began <= until
        ),
        None,
    )


def _time_over(facts, work, since, taken):
    """Why the lock's time had run out, as it was set since; None where it had not, or may not."""
    began, names = since[0].began, {each.name for each in since}
    has_run_out = max(each.began + each.ttl for each in since) <= taken + _ROUNDING
    if not has_run_out:
        return None
    if work.event("store_error", after=began, before=taken):
        return "store_error"
    if "renewed" in names:  # no attempt may take that long
        return None
    if names.isdisjoint({"confirmed", "swapped"}):
        return _on_lease(facts, work, began, taken)
    return _waited(work, taken)


def _waited(work, taken):
    # The store may fail the hold that would notice, until the run is over.
    noticed = work.event("lapsed", "reacquired", "store_error", after=taken)
    return "waited_longer_than_ttl" if noticed or _may_have_started(work, taken) else None


def _may_have_started(work, taken):
    """Whether a worker that was given it later could not tell that its lock was to stand.

    Where a lock is freed when its job starts, a job that has failed or was put back may have.
    """
    fetches = [fetch for copy in work.copies.values() for fetch in copy.fetches]
    return is_of(work.key, EXCLUSIVE) and any(
        fetch["failures"] or fetch["jid"] != work.owner
        for fetch in fetches
        if fetch["mono"] > taken
    )


def _on_lease(facts, work, began, taken):
    """Why a lock was never confirmed."""
    if any(push.is_open for push in work.pushes if push.began <= taken):
        return "push_open"
    if any(facts.was_stopped(push.who, push.began, push.ended) for push in work.pushes):
        return "producer_stopped"
    return "confirmed_too_late" if work.event("lapsed", after=began) else None
