"""What the journals say, put in order: pushes, the copies of each work, runs, faults."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

IN_PLACE = ("pushed", "unguarded")
"""What a push is answered whose job is on the server."""

_PROMOTION = 10


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
        took: when it was told that it had the lock; None where it was not.
    """

    who: str
    owner: str
    key: str
    began: float
    wait: float = 0.0
    ended: float = math.inf
    status: str | None = None
    jid: str | None = None
    took: float | None = None

    @property
    def accepted(self):
        return self.status in IN_PLACE

    @property
    def is_open(self):
        """Whether the job may be on the server, and may not."""
        return self.jid is not None and self.status in {None, "unknown"}


@dataclass
class Report:
    """An ACK, a FAIL or a put-back, from before it was sent; `answer` is None where none came."""

    what: str
    who: str
    began: float
    ended: float = math.inf
    answer: str | None = None


@dataclass
class Copy:
    """A job as the server has it: one jid.

    Attributes:
        fetches: lines of each FETCH.
        reports: in order.
        done: lines of each good end of its handler.
        seen: when anything was last seen of it.
    """

    jid: str
    parent: str | None = None
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
    def done(self):
        """Its good ends, in order, as pairs of a copy and the line."""
        ends = [(copy, line) for copy in self.copies.values() for line in copy.done]
        return sorted(ends, key=lambda end: end[1]["mono"])

    def event(self, *names, after=0.0, before=math.inf):
        """The first event of one of these names, strictly within these times."""
        return next(
            (e for e in self.events if e["name"] in names and after < e["mono"] < before), None
        )


class Facts:
    """The journals of a run, read.

    Args:
        lines: of all journals, in the order of time.

    Attributes:
        works: by owner.
        faults: the lines of faults.
        restarts: the lines of restarts.
        kills: the lines of each SIGKILL to Faktory, with what it had.
        ends: by process, when and how it was ended.
        calls: how many pushes there were.
    """

    def __init__(self, lines):
        self.works = {}
        self.faults, self.restarts, self.kills = [], [], []
        self.ends = {}
        self.calls = 0
        self._pushes = defaultdict(dict)
        for line in lines:
            read = getattr(self, f"_{line['what']}", None)
            if read is not None:
                read(line)
        for pushes in self._pushes.values():
            for push in pushes.values():
                if push.status is None and push.who in self.ends:
                    push.ended = min(push.ended, self.ends[push.who][0])

    def was_stopped(self, who, since, until):
        """Whether a process stood still, or was killed, at any time within these."""
        ended, how = self.ends.get(who, (math.inf, None))
        return (how == "kill" and since <= ended <= until) or any(
            fault["victim"] == who and fault["began"] <= until and fault["ended"] >= since
            for fault in self.faults
            if fault["kind"] == "stop"
        )

    def _work(self, line):
        return self.works.setdefault(line["owner"], Work(line["owner"], line["key"]))

    def _copy(self, line):
        copies = self._work(line).copies
        copy = copies.setdefault(line["jid"], Copy(line["jid"]))
        copy.seen = line["mono"]
        return copy

    def _pushing(self, line):
        push = Push(line["who"], line["jid"], line["key"], line["mono"], _wait(line))
        self._work({**line, "owner": line["jid"]}).pushes.append(push)
        self._pushes[line["who"], line["call"]][line["jid"]] = push
        self.calls += 1

    def _result(self, line):
        push = self._pushes[line["who"], line["call"]][line["jid"]]
        push.status, push.ended = line["status"], line["mono"]
        if push.accepted:
            push.jid = line["stands"]

    def _event(self, line):
        work = self._work(line)
        work.events.append(line)
        if line["name"] in {"acquired", "unguarded"}:
            push = work.pushes[-1]  # of the one process that has this Job
            push.jid = line["jid"]
            push.took = line["mono"] if line["name"] == "acquired" else None

    def _fetch(self, line):
        copy = self._copy(line)
        copy.parent = line["parent"]
        copy.fetches.append(line)

    def _start(self, line):
        self._copy(line)

    def _end(self, line):
        copy = self._copy(line)
        if line["outcome"] == "done":
            copy.done.append(line)

    def _report(self, line):
        self._copy(line).reports.append(Report(line["what"], line["who"], line["mono"]))

    def _answer(self, line):
        what = line["what"].removesuffix("_answer")
        for report in reversed(self._copy(line).reports):
            if (report.what, report.who, report.answer) == (what, line["who"], None):
                report.answer, report.ended = line["answer"], line["mono"]
                return

    _ack = _fail = _put_back = _report
    _ack_answer = _fail_answer = _put_back_answer = _answer

    def _fault(self, line):
        self.faults.append(line)

    def _restarted(self, line):
        self.restarts.append(line)

    def _killed(self, line):
        self.kills.append(line)

    def _ended(self, line):
        self.ends.setdefault(line["process"], (line["mono"], line["how"]))


def _wait(line):
    """Seconds until a job that is pushed now is in its queue, with the promotion's margin."""
    if not line["at"]:
        return 0.0
    ahead = datetime.fromisoformat(line["at"]).timestamp() - line["t"]
    return ahead + _PROMOTION if ahead > 0 else 0.0
