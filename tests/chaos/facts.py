"""What the journals say, put in order: pushes, the copies of each work, runs, faults."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import datetime

from tests.chaos.records import Copy, Push, Report, Run, Work

_PROMOTION = 10


class Facts:
    """The journals of a run, read.

    Args:
        lines: of all journals, in the order of time.

    Attributes:
        works: by owner.
        faults: the lines of faults.
        forgotten: the lines of when Redis lost its locks.
        kills: the lines of each SIGKILL to Faktory, with what it had.
        ends: by process, when and how it was ended.
        gone: by process that was told to end, when it had.
        calm: when the last fault was over.
        calls: how many pushes there were.
        successors: by owner, the works that were to go out in its place.
    """

    def __init__(self, lines):
        self.works = {}
        self.faults, self.forgotten, self.kills = [], [], []
        self.ends, self.gone = {}, {}
        self.calm = math.inf
        self.calls = 0
        self.successors = defaultdict(set)
        self._pushes = defaultdict(dict)
        self._latest = {}
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
        self._latest[line["who"], line["jid"]] = push
        self.calls += 1

    def _sent(self, line):
        work, push = self._work(line), self._latest[line["who"], line["job"]]
        if push.owner != work.owner:
            # One that was replaced already: it goes out as other work, under a name of its own.
            self.works[push.owner].pushes.remove(push)
            work.pushes.append(push)
            push.owner = work.owner
            took = work.event("acquired", after=push.began)
            push.took = took and took["mono"]
        push.jid, push.sent, push.replaces = line["jid"], line["mono"], line["replaces"]
        if push.replaces:
            self.successors[push.replaces].add(work.owner)

    def _result(self, line):
        push = self._pushes[line["who"], line["call"]][line["jid"]]
        push.status, push.ended = line["status"], line["mono"]
        push.confirmed = line["confirmed"]
        if push.accepted:
            push.jid = line["stands"]
        elif push.status == "duplicate":
            push.holder = line["stands"]

    def _event(self, line):
        work = self._work(line)
        work.events.append(line)
        push = work.pushes[-1] if work.pushes else None  # of the one process that has this Job
        # Under another owner than its Job's it is not known yet: see `_sent`.
        going_on = push is not None and push.status is None
        if line["name"] in {"acquired", "unguarded"} and going_on:
            push.jid = line["jid"]
            push.took = line["mono"] if line["name"] == "acquired" else None

    def _fetch(self, line):
        copy = self._copy(line)
        copy.parent = line["parent"]
        copy.replaces = line.get("replaces")
        copy.fetches.append(line)
        if copy.replaces:
            self.successors[copy.replaces].add(line["owner"])

    def _fetch_answer(self, line):
        fetch = self._fetched(line)
        fetch["answer"], fetch["answered"] = line["answer"], line["mono"]

    def _start(self, line):
        copy = self._copy(line)
        copy.runs.append(Run(line["who"], line["jid"], self._fetched(line), line["mono"]))

    def _fetched(self, line):
        """The line of the FETCH that this one is about."""
        fetches = self._copy(line).fetches
        return next(each for each in reversed(fetches) if each["who"] == line["who"])

    def _end(self, line):
        copy = self._copy(line)
        for run in reversed(copy.runs):
            if run.who == line["who"] and run.ended == math.inf:
                run.ended = line["mono"]
                break
        if line["outcome"] == "done":
            copy.done.append(line)

    def _report(self, line):
        report = Report(line["what"], line["who"], line["mono"], delay=line.get("delay", 0.0))
        self._copy(line).reports.append(report)

    def _answer(self, line):
        what = line["what"].removesuffix("_answer")
        for report in reversed(self._copy(line).reports):
            if (report.what, report.who, report.answer) == (what, line["who"], None):
                report.answer, report.ended = line["answer"], line["mono"]
                return

    _ack = _fail = _requeue = _report
    _ack_answer = _fail_answer = _requeue_answer = _answer

    def _fault(self, line):
        self.faults.append(line)

    def _forgot(self, line):
        self.forgotten.append(line)

    def _killed(self, line):
        self.kills.append(line)

    def _calm(self, line):
        self.calm = line["mono"]

    def _gone(self, line):
        self.gone[line["process"]] = line["mono"]

    def _ended(self, line):
        self.ends.setdefault(line["process"], (line["mono"], line["how"]))


def _wait(line):
    """Seconds until a job that is pushed now is in its queue, with the promotion's margin."""
    if not line["at"]:
        return 0.0
    ahead = datetime.fromisoformat(line["at"]).timestamp() - line["t"]
    return ahead + _PROMOTION if ahead > 0 else 0.0
