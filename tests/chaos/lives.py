"""From when to when a copy of a job was surely on the server."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tests.chaos.settings import EXCLUSIVE, is_of


class Life(NamedTuple):
    """The time within which a copy was live for certain, and its lock to stand; it may be longer.

    Attributes:
        copy: which.
        born: when it was there, by the monotonic clock.
        died: when what ends it was about to be sent.
    """

    copy: object
    born: float
    died: float


def lives(work):
    """The lives of all copies of a work that are known to have been."""
    by_jid = {push.jid: push for push in work.pushes if push.accepted}
    begun = _begun(work)
    known = [
        Life(copy, _born(work, copy, by_jid), min(_died(copy), begun))
        for copy in work.copies.values()
    ]
    # What was pushed and never seen again may have been gone at any time.
    return [life for life in known if life.born < life.died]


def _begun(work):
    """When its lock is freed at the latest of whose kind pushes count until it starts."""
    if not is_of(work.key, EXCLUSIVE):
        return float("inf")
    # One that is put back has its lock still; of one that is not known to be it may be free.
    fetches = [line for copy in work.copies.values() for line in copy.fetches]
    return min((f["mono"] for f in fetches if f.get("answer") != "Requeue"), default=float("inf"))


def _born(work, copy, by_jid):
    """By the answer to its push or its put-back, or else by the server's word in its first run."""
    known = []
    if copy.jid in by_jid:
        known.append(by_jid[copy.jid].ended)
    if copy.parent in work.copies:
        known += [
            report.ended
            for report in work.copies[copy.parent].reports
            if report.what == "requeue" and report.answer == "accepted"
        ][-1:]
    known += [enqueued(line) for line in copy.fetches[:1]]
    return min(known, default=float("inf"))


def enqueued(line):
    """When the server put the job in its queue, by the monotonic clock."""
    told = line["enqueued_at"]
    if not told:
        return line["mono"]
    ago = line["t"] - datetime.fromisoformat(told).timestamp()
    return line["mono"] - max(0.0, ago)


def _died(copy):
    """By what was sent last to end it; it was there until then, whatever was sent before."""
    last_fetch = copy.fetches[-1]["mono"] if copy.fetches else 0.0
    for report in reversed(copy.reports):
        if report.began < last_fetch:
            break
        if report.what == "ack":
            return report.began
        if report.what == "requeue" and report.answer != "refused":
            # The copy is pushed first: where both are answered, there was one of them all along.
            return report.ended if report.answer == "accepted" else report.began
    return copy.seen
