"""What is known of a push, of a job and of a work, as the journals tell it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

IN_PLACE = ("pushed", "unguarded")
"""What a push is answered whose job is on the server."""


@dataclass
class Push:
    """One call for one job.

    Attributes:
        who: the process.
        owner: the jid of the caller's Job.
        key: of the lock.
        began: when, by the monotonic clock.
        wait: seconds until the job is surely in its queue.
        ended: when its result was known, or its process ended; infinite where it never was.
        status: of its result; None where there is none.
        jid: under which it went out, if it got a lock or went out without; else None.
        holder: of a duplicate, the owner that has the lock; else None.
        took: when it was told that it had the lock; None where it was not.
        sent: when its job was about to go out; None where it never was.
        replaces: the owner in whose place it went out; None where in nobody's.
        confirmed: whether the lock was said to stand for as long as the job waits.
    """

    who: str
    owner: str
    key: str
    began: float
    wait: float = 0.0
    ended: float = math.inf
    status: str | None = None
    jid: str | None = None
    holder: str | None = None
    took: float | None = None
    sent: float | None = None
    replaces: str | None = None
    confirmed: bool = False

    @property
    def accepted(self):
        return self.status in IN_PLACE

    @property
    def is_open(self):
        """Whether the job may be on the server, and may not."""
        return self.jid is not None and self.status in {None, "unknown"}


@dataclass
class Report:
    """An ACK, a FAIL or a put-back, from before it was sent; `answer` is None where none came.

    `delay`: of a put-back, seconds until the copy is due.
    """

    what: str
    who: str
    began: float
    ended: float = math.inf
    answer: str | None = None
    delay: float = 0.0


@dataclass
class Run:
    """One run of a handler.

    Attributes:
        who: the worker, in one of whose processes it is.
        jid: of the job.
        fetch: the line of the FETCH that it follows.
        began: when the handler began.
        ended: when it came to an end; infinite where it never did.
    """

    who: str
    jid: str
    fetch: dict
    began: float
    ended: float = math.inf


@dataclass
class Copy:
    """A job as the server has it: one jid.

    Attributes:
        replaces: the owner in whose place it was pushed, as it says itself.
        runs: in order.
        fetches: lines of each FETCH.
        reports: in order.
        done: lines of each good end of its handler.
        seen: when anything was last seen of it.
    """

    jid: str
    parent: str | None = None
    replaces: str | None = None
    runs: list = field(default_factory=list)
    fetches: list = field(default_factory=list)
    reports: list = field(default_factory=list)
    done: list = field(default_factory=list)
    seen: float = 0.0


@dataclass
class Work:
    """All that goes by one owner."""

    owner: str
    key: str
    pushes: list = field(default_factory=list)
    copies: dict = field(default_factory=dict)
    events: list = field(default_factory=list)

    @property
    def accepted(self):
        """The push by which it is on the server; None where none was answered so."""
        return next((push for push in self.pushes if push.accepted), None)

    @property
    def over(self):
        """When it was over for good, its last ACK accepted; infinite where it never was."""
        copies = self.copies.values()
        last = max((r for c in copies for r in c.reports), key=lambda r: r.began, default=None)
        if last is None or (last.what, last.answer) != ("ack", "accepted"):
            return math.inf
        return max(copy.seen for copy in copies)

    @property
    def done(self):
        """Its good ends, in order, as pairs of a copy and the line."""
        ends = [(copy, line) for copy in self.copies.values() for line in copy.done]
        return sorted(ends, key=lambda end: end[1]["mono"])

    @property
    def runs(self):
        """The runs of its handlers, in order."""
        runs = [run for copy in self.copies.values() for run in copy.runs]
        return sorted(runs, key=lambda run: run.began)

    def replaces(self, owner):
        """When it was first seen to be in this owner's place, if Faktory has it so; else None.

        It has what a push was answered for, and what a worker was given.
        """
        pushed = [p.sent for p in self.pushes if p.accepted and p.replaces == owner]
        given = [
            copy.fetches[0]["mono"]
            for copy in self.copies.values()
            if copy.replaces == owner and copy.fetches
        ]
        sent = [p.sent for p in self.pushes if p.replaces == owner and p.sent is not None]
        return min(sent + given) if pushed or given else None

    def event(self, *names, after=0.0, before=math.inf):
        """The first event of one of these names, strictly within these times."""
        return next(
            (e for e in self.events if e["name"] in names and after < e["mono"] < before), None
        )
