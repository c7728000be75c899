"""Lifetimes: from when to when a copy of a job was certainly on the server."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from tests.chaos.settings import EXCLUSIVE, has_jobtype

if TYPE_CHECKING:
    from tests.chaos.records import Copy


class Lifetime(NamedTuple):
    """A span in which a copy was certainly live and its lock had to exist; it may be longer.

    Attributes:
        copy: the copy.
        began: when it was on the server, by the monotonic clock.
        ended: when the command that ends it was about to be sent.
    """

    copy: Copy
    began: float
    ended: float


def lifetimes(job):
    """Return the known lifetimes of all copies of a logical job."""
    by_jid = {push.jid: push for push in job.pushes if push.accepted}
    started = _lock_freed_at_start(job)
    known = [
        Lifetime(copy, _began(job, copy, by_jid), min(_ended(copy), started))
        for copy in job.copies.values()
    ]
    # A copy that was pushed and never seen again may have ended at any time.
    return [lifetime for lifetime in known if lifetime.began < lifetime.ended]


def _lock_freed_at_start(job):
    """Return when the lock is freed at the latest if the policy frees it at the job's start."""
    if not has_jobtype(job.key, EXCLUSIVE):
        return float("inf")
    # A requeued job still has its lock. If the decision is not known, the lock may be free.
    starts = (f["mono"] for f in job.fetches if f.get("decision") != "Requeue")
    return min(starts, default=float("inf"))


def _began(job, copy, by_jid):
    """Return the earliest proof: the push's result, the requeue's status, or the first FETCH."""
    known = []
    if copy.jid in by_jid:
        known.append(by_jid[copy.jid].ended)
    if copy.parent in job.copies:
        known += [
            report.ended
            for report in job.copies[copy.parent].reports
            if report.type == "requeue" and report.status == "accepted"
        ][-1:]
    known += [enqueued_at(fetch) for fetch in copy.fetches[:1]]
    return min(known, default=float("inf"))


def enqueued_at(fetch):
    """Return when the server put the fetched job in its queue, by the monotonic clock."""
    enqueued = fetch["enqueued_at"]
    if not enqueued:
        return fetch["mono"]
    ago = fetch["wall"] - datetime.fromisoformat(enqueued).timestamp()
    return fetch["mono"] - max(0.0, ago)


def _ended(copy):
    """Return when the last command that ends the copy was sent; the copy was live until then."""
    last_fetch = copy.fetches[-1]["mono"] if copy.fetches else 0.0
    for report in reversed(copy.reports):
        if report.began < last_fetch:
            break
        if report.type == "ack":
            return report.arrived or report.began
        if report.type == "requeue" and report.status != "refused":
            # The copy is pushed first: if both were accepted, one of them was live all the time.
            return report.ended if report.status == "accepted" else report.began
    return copy.last_seen
