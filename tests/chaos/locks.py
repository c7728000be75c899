"""The locks that are left when no job is: which may be, for a while, and which are orphans."""

from __future__ import annotations

import math
from typing import NamedTuple

from tests.chaos.beside import (
    is_run_lock,
    is_tombstone,
    why_no_run_lock,
    why_no_tombstone,
    why_run_lock_left,
)
from tests.chaos.quiet import latest_retry
from tests.chaos.settings import EXCLUSIVE, LEASE, RESERVE_FOR, TTL, is_of

# docs/design.md §5: the reaper's round; the promotion's tick, for a job that is scheduled (6 s
# ahead at most) or put back (10 s at most).
_REAPING = 30
_LONGEST_DELAY = 10 + 10

# A release is tried at once, and the store has two seconds to answer.
_RELEASING = 4.0


class Lock(NamedTuple):
    """A lock in Redis.

    Attributes:
        key: its key.
        value: its owner, with a `?` behind it where it is but leased.
        ttl: whole seconds that it has left; -1 for ever.
    """

    key: str
    value: str
    ttl: int


def blocked(facts):
    """Pushes that were turned away by the lock of a work that was over: with a word why, or None.

    A lock is free a moment after the ACK was answered, unless something kept it from that. Where it
    is free when the job starts, see `tests.chaos.turns.missed`.
    """
    for work in facts.works.values():
        if is_of(work.key, EXCLUSIVE):
            continue
        for push in work.pushes:
            holder = facts.works.get(push.holder)
            if holder is not None and push.began > holder.over + _RELEASING:
                why = "the store failed it" if holder.event("store_error") else None
                yield push, _why_left(Lock(push.key, holder.owner, 0), facts) or why


def attempt(failures):
    """The longest silence that a fetched job can honestly have, having failed so often."""
    return RESERVE_FOR + _REAPING + latest_retry(failures) + TTL


def orphans_at_once(locks, facts, now):
    """The locks that may not be, each with a word why; `now` by the monotonic clock."""
    judged = [(lock, _why_orphan(lock, facts, now)) for lock in locks]
    return [(lock, why) for lock, why in judged if why is not None]


def waited_for(locks, facts, now):
    """The others, each with a word why it is there; but for tombstones, which keep nobody away."""
    return [
        (lock, (why_run_lock_left if is_run_lock(lock) else _why_left)(lock, facts))
        for lock in locks
        if not is_tombstone(lock) and _why_orphan(lock, facts, now) is None
    ]


def _why_orphan(lock, facts, now):
    if is_tombstone(lock):
        return why_no_tombstone(lock, facts)
    if is_run_lock(lock):
        return why_no_run_lock(lock, facts, now)
    if lock.ttl == -1:
        return "it lives for ever"
    allowed = _allowed(lock, facts)
    if lock.ttl > allowed:
        return f"docs/design.md allows {allowed:.0f} s"
    ack = _last_ack(lock, facts)
    if ack is not None and _why_left(lock, facts) is None:
        return f"{ack.who} had its ACK accepted, and did not free it"
    return None


def _allowed(lock, facts):
    if lock.value.endswith("?"):
        return LEASE
    work = facts.works.get(lock.value)
    failures = (
        [f["failures"] for copy in work.copies.values() for f in copy.fetches] if work else []
    )
    most = max(failures, default=0)
    return max(LEASE, _LONGEST_DELAY + TTL, attempt(most), latest_retry(most) + TTL)


def _last_ack(lock, facts):
    work = facts.works.get(lock.value.removesuffix("?"))
    copies = work.copies.values() if work is not None else ()
    acks = [r for copy in copies for r in copy.reports if (r.what, r.answer) == ("ack", "accepted")]
    return max(acks, key=lambda ack: ack.began, default=None)


def _why_left(lock, facts):
    """What has kept the lock's last holder from freeing it; None where nothing is known to."""
    ack = _last_ack(lock, facts)
    if ack is None:
        return "no ACK was accepted"
    if facts.was_stopped(ack.who, ack.began, ack.ended + _RELEASING):
        return f"{ack.who} was killed or stopped at its end"
    work = facts.works[lock.value.removesuffix("?")]
    for event in work.events:
        ended, _ = facts.ends.get(event["who"], (math.inf, None))
        ended = facts.gone.get(event["who"], ended)
        # Once Redis is itself again, whoever is there makes what it owes.
        if event["name"] == "store_error" and event["mono"] <= ended < facts.calm:
            return f"the store failed it, and {event['who']} was ended"
    return None
