"""Records of the audit: a push, a handler's run, a report, a copy (one jid), a logical job."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

ACCEPTED_STATUSES = ("pushed", "unguarded")
"""Statuses of a push after which the job is on the server."""


@dataclass
class Push:
    """One push of one job.

    Attributes:
        process: the producer.
        owner: the jid of the caller's Job, or the owner under which the job was sent.
        key: the lock key.
        began: when it began, by the monotonic clock.
        wait: seconds until the job is certainly in its queue.
        ended: when its result was known, or its process ended; infinite if neither happened.
        status: the status of its result; None without a result.
        jid: the jid under which it was sent, with a lock or unguarded; else None.
        holder: for a duplicate, the owner of the lock, or the jid of the equal job in its batch;
            else None.
        acquired_at: when the lock was acquired; None if it was not.
        sent_at: when its job was about to be sent; None if it never was.
        replaces: the owner of the job that it replaces; else None.
        confirmed: whether the result says that the lock lasts for as long as the job waits.
    """

    process: str
    owner: str
    key: str
    began: float
    wait: float = 0.0
    ended: float = math.inf
    status: str | None = None
    jid: str | None = None
    holder: str | None = None
    acquired_at: float | None = None
    sent_at: float | None = None
    replaces: str | None = None
    confirmed: bool = False

    @property
    def accepted(self):
        """Whether the result says that the job is on the server."""
        return self.status in ACCEPTED_STATUSES

    @property
    def outcome_unknown(self):
        """Whether the job may or may not be on the server."""
        return self.jid is not None and self.status in {None, "unknown"}


@dataclass
class Report:
    """An ACK, a FAIL or a requeue.

    Attributes:
        type: "ack", "fail" or "requeue".
        process: the worker.
        began: when it was about to be sent.
        ended: when its status was known; infinite if it never was.
        status: its `ReportStatus`; None if the worker never knew it.
        delay: for a requeue, seconds until the copy is due.
        final: whether it is a FAIL after which no retry is left.
        arrived: when an ACK that was held on its way went to the server; else None.
    """

    type: str
    process: str
    began: float
    ended: float = math.inf
    status: str | None = None
    delay: float = 0.0
    final: bool = False
    arrived: float | None = None

    @property
    def ends_job(self):
        """Whether the job is over for good: an accepted ACK, or FAIL of its last attempt."""
        return self.status == "accepted" and (self.type == "ack" or self.final)


@dataclass
class Run:
    """One run of a handler.

    Attributes:
        process: the worker; the handler runs in one of its child processes.
        jid: the job.
        fetch: the journal entry of its FETCH.
        began: when the handler began.
        ended: when the handler ended; infinite if it never did.
    """

    process: str
    jid: str
    fetch: dict
    began: float
    ended: float = math.inf


@dataclass
class Copy:
    """A job as the server has it: one jid.

    Attributes:
        jid: its jid.
        parent: the jid of the copy that was requeued as this one; else None.
        replaces: the owner of the job that it replaces, as its stamp says.
        runs: in order.
        fetches: journal entries, one for each FETCH.
        reports: in order.
        completions: journal entries, one for each successful end of its handler.
        last_seen: time of the last entry about it.
    """

    jid: str
    parent: str | None = None
    replaces: str | None = None
    runs: list = field(default_factory=list)
    fetches: list = field(default_factory=list)
    reports: list = field(default_factory=list)
    completions: list = field(default_factory=list)
    last_seen: float = 0.0


@dataclass
class LogicalJob:
    """All pushes, copies and events of one owner: one piece of work."""

    owner: str
    key: str
    pushes: list = field(default_factory=list)
    copies: dict = field(default_factory=dict)
    events: list = field(default_factory=list)

    @property
    def accepted_push(self):
        """The first push that was accepted; None if there is none."""
        return next((push for push in self.pushes if push.accepted), None)

    @property
    def fetches(self):
        """The journal entries of each FETCH, copy by copy."""
        return [fetch for copy in self.copies.values() for fetch in copy.fetches]

    @property
    def reports(self):
        """The reports of all copies, copy by copy."""
        return [report for copy in self.copies.values() for report in copy.reports]

    @property
    def ended(self):
        """When it ended for good, with an accepted ACK or last FAIL; infinite if it did not."""
        last = max(self.reports, key=lambda report: report.began, default=None)
        if last is None or not last.ends_job:
            return math.inf
        return max(copy.last_seen for copy in self.copies.values())

    @property
    def completions(self):
        """Its successful ends in order, as pairs of a copy and the journal entry."""
        ends = [(copy, entry) for copy in self.copies.values() for entry in copy.completions]
        return sorted(ends, key=lambda end: end[1]["mono"])

    @property
    def runs(self):
        """The runs of its handlers, in order."""
        runs = [run for copy in self.copies.values() for run in copy.runs]
        return sorted(runs, key=lambda run: run.began)

    def acquired_before(self, push):
        """Return whether a push of this job acquired the lock before a push of another did."""
        return push.acquired_at is not None and any(
            own.acquired_at is not None and own.acquired_at < push.acquired_at
            for own in self.pushes
        )

    def replaced_since(self, owner):
        """Return when this job was first seen as the replacement of `owner`.

        Return None if Faktory does not have it as such: no push was accepted, and no worker
        fetched it.
        """
        pushes = [push for push in self.pushes if push.replaces == owner]
        accepted = [push.sent_at for push in pushes if push.accepted]
        fetched = [
            copy.fetches[0]["mono"]
            for copy in self.copies.values()
            if copy.replaces == owner and copy.fetches
        ]
        sent = [push.sent_at for push in pushes if push.sent_at is not None]
        return min(sent + fetched) if accepted or fetched else None

    def first_event(self, *names, after=0.0, before=math.inf):
        """Return the first event with one of these names, strictly between these times."""
        return next(
            (e for e in self.events if e["name"] in names and after < e["mono"] < before), None
        )
