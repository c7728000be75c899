"""What became of each accepted work: done, stepped aside for one that was, gone, or lost."""

from __future__ import annotations

from enum import Enum

# A tick of the promotion, and some time in the queue, for a copy that was put back.
_COPY_WAITING = 12.0


class Fate(Enum):
    """What became of a work."""

    DONE = "a handler came to a good end"
    ASIDE = "it stepped aside, and what was pushed in its place was done, or did so in its turn"
    THERE = "the server still has it"
    GONE = "the server has lost it"
    LOST = "none of these"


class Fates:
    """The fates of works.

    Args:
        facts: of the run.
        still_there: owners of what the server still has.
    """

    def __init__(self, facts, still_there):
        self._facts = facts
        self._still_there = still_there
        self._known = {}

    def of(self, work):
        """What became of it."""
        if work.owner not in self._known:
            # Who steps aside in a circle is lost, all of it.
            self._known[work.owner] = Fate.LOST
            self._known[work.owner] = self._fate(work)
        return self._known[work.owner]

    def _fate(self, work):
        if work.done:
            return Fate.DONE
        if work.owner in self._still_there:
            return Fate.THERE
        successor = self._has_stepped_aside_for(work)
        if successor is not None:
            return _FOLLOWS[self.of(successor)]
        return Fate.GONE if went_with_faktory(self._facts, work) else Fate.LOST

    def _has_stepped_aside_for(self, work):
        """The work for which it was last acknowledged unrun; None where it was not, or for none."""
        for event in reversed(work.events):
            if event["name"] == "superseded" and _acked_for(work, event):
                return successor_named(self._facts, work, event)
        return None


_FOLLOWS = {
    Fate.DONE: Fate.ASIDE,
    Fate.ASIDE: Fate.ASIDE,
    Fate.THERE: Fate.THERE,
    Fate.GONE: Fate.GONE,
    Fate.LOST: Fate.LOST,
}


def _acked_for(work, event):
    """Whether the worker that told this has gone on to acknowledge the job."""
    reports = work.copies[event["jid"]].reports
    return any(
        (r.what, r.who) == ("ack", event["who"]) and r.began >= event["mono"] for r in reports
    )


def successor_named(facts, work, event):
    """The work that an event says this one steps aside for; None where it is no such work.

    It must be of the same key, say itself whom it replaces, and have been accepted by Faktory.
    """
    successor = facts.works.get(event["detail"].removeprefix("replaced by "))
    if successor is None or successor.key != work.key:
        return None
    since = successor.replaces(work.owner)
    return successor if since is not None and since < event["mono"] else None


def unfounded(facts):
    """The works and events of jobs that stepped aside for none that Faktory has in their place."""
    for work in facts.works.values():
        for event in work.events:
            if event["name"] == "superseded" and successor_named(facts, work, event) is None:
                yield work, event


def went_with_faktory(facts, work):
    """Whether a Faktory that got SIGKILL has lost the job between two places of its storage.

    It had been accepted before and was in no place of the storage when the server stood still; no
    ACK of it had been sent, but for that of a put-back whose copy could still be waiting; and
    nothing was seen of it later.
    """
    return work.accepted is not None and any(
        work.accepted.ended < kill["began"]
        and work.owner not in kill["owners"]
        and not _acked_before(work, kill["began"])
        and all(copy.seen < kill["began"] for copy in work.copies.values())
        for kill in facts.kills
    )


def _acked_before(work, when):
    reports = [report for copy in work.copies.values() for report in copy.reports]
    return any(
        (r.what == "ack" and r.began < when)
        or (r.what == "requeue" and r.began < when - r.delay - _COPY_WAITING)
        for r in reports
    )
