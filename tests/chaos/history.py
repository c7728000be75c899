"""History of a chaos run, built from the journals: pushes, copies, runs, reports and faults."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import datetime

from tests.chaos.records import Copy, LogicalJob, Push, Report, Run
from tests.chaos.settings import CLIENT_TIMEOUT
from tests.chaos.timing import PROMOTION_SECONDS

# A client sends a command again this long before its time-out at the earliest.
_RESENT_SECONDS = 0.5


class History:
    """The journals of a run in the form that the audit reads.

    Args:
        entries: those of all journals, in the order of time.

    Attributes:
        jobs: logical jobs by owner.
        faults: entries of the faults.
        lock_losses: entries of the times when Redis lost all locks.
        faktory_kills: entries of each SIGKILL to Faktory, with the jobs that it had then and a
            second before, and the most jobs that it can have moved.
        ends: by process, when and how it was ended.
        exits: by process that got SIGTERM, when it had exited.
        faults_ended: when the last fault was over.
        push_count: the number of pushes, retries included.
        successors: by owner, the owners of the jobs that were to replace it.
    """

    def __init__(self, entries):
        self.jobs = {}
        self.faults, self.lock_losses, self.faktory_kills = [], [], []
        self.ends, self.exits = {}, {}
        self.faults_ended = math.inf
        self.push_count = 0
        self.successors = defaultdict(set)
        self._stored = defaultdict(list)
        self._owners = {}
        self._pushes = defaultdict(dict)
        self._latest_push = {}
        for entry in entries:
            add = getattr(self, f"_add_{entry['type']}", None)
            if add is not None:
                add(entry)
        for pushes in self._pushes.values():
            for push in pushes.values():
                if push.status is None and push.process in self.ends:
                    push.ended = min(push.ended, self.ends[push.process][0])

    def was_interrupted(self, process, since, until):
        """Return whether a process was stopped (SIGSTOP) or killed at any time in this span."""
        ended, how = self.ends.get(process, (math.inf, None))
        return (how == "kill" and since <= ended <= until) or any(
            fault["victim"] == process and fault["began"] <= until and fault["ended"] >= since
            for fault in self.faults
            if fault["kind"] == "stop"
        )

    def exit_time(self, process):
        """Return when a process that was killed or got SIGTERM had exited; infinite if it lives."""
        ended, _ = self.ends.get(process, (math.inf, None))
        return self.exits.get(process, ended)

    def was_killed(self, process):
        """Return whether a process was ended by SIGKILL."""
        return self.ends.get(process, (math.inf, None))[1] == "kill"

    @property
    def redis_outages(self):
        """The faults of Redis in which commands fail, in the order of time."""
        outages = [f for f in self.faults if f["target"] == "redis" and f["kind"] != "forget"]
        return sorted(outages, key=lambda fault: fault["began"])

    def lost_locks(self, since, until):
        """Return whether Redis lost all locks at any time in this span."""
        return any(loss["ended"] >= since and loss["began"] <= until for loss in self.lock_losses)

    def holder(self, push):
        """Return the job that had the lock of a duplicate, or None if nobody pushed such a job.

        An equal job of the same batch is named by the jid under which it was sent.
        """
        return self.jobs.get(push.holder) or self.jobs.get(self._owners.get(push.holder))

    def stored_times(self, owner):
        """Return when Faktory's storage got a copy of this owner's job, or moved one, in order."""
        return sorted(self._stored[owner])

    def _job(self, entry):
        return self.jobs.setdefault(entry["owner"], LogicalJob(entry["owner"], entry["key"]))

    def _copy(self, entry):
        copies = self._job(entry).copies
        copy = copies.setdefault(entry["jid"], Copy(entry["jid"]))
        copy.last_seen = entry["mono"]
        return copy

    def _add_pushing(self, entry):
        push = Push(entry["writer"], entry["jid"], entry["key"], entry["mono"], _wait(entry))
        self._job({**entry, "owner": entry["jid"]}).pushes.append(push)
        self._pushes[entry["writer"], entry["call"]][entry["jid"]] = push
        self._latest_push[entry["writer"], entry["jid"]] = push
        self.push_count += 1

    def _add_sent(self, entry):
        job, push = self._job(entry), self._latest_push[entry["writer"], entry["job"]]
        if push.owner != job.owner:
            # This Job was replaced already: it is sent as another logical job, with a new owner.
            self.jobs[push.owner].pushes.remove(push)
            job.pushes.append(push)
            push.owner = job.owner
            acquired = job.first_event("acquired", after=push.began)
            push.acquired_at = acquired and acquired["mono"]
        self._owners[entry["jid"]] = job.owner
        push.jid, push.sent_at, push.replaces = entry["jid"], entry["mono"], entry["replaces"]
        if push.replaces:
            self.successors[push.replaces].add(job.owner)

    def _add_result(self, entry):
        push = self._pushes[entry["writer"], entry["call"]][entry["jid"]]
        push.status, push.ended = entry["status"], entry["mono"]
        push.confirmed = entry["confirmed"]
        if push.accepted:
            push.jid = entry["result_jid"]
        elif push.status == "duplicate":
            push.holder = entry["result_jid"]

    def _add_event(self, entry):
        job = self._job(entry)
        job.events.append(entry)
        push = job.pushes[-1] if job.pushes else None  # one process alone has this Job
        # Under another owner than its Job's the push is not known yet: see `_add_sent`.
        in_progress = push is not None and push.status is None
        if entry["name"] in {"acquired", "unguarded"} and in_progress:
            push.jid = entry["jid"]
            push.acquired_at = entry["mono"] if entry["name"] == "acquired" else None

    def _add_fetch(self, entry):
        copy = self._copy(entry)
        copy.parent = entry["parent"]
        copy.replaces = entry.get("replaces")
        copy.fetches.append(entry)
        if copy.replaces:
            self.successors[copy.replaces].add(entry["owner"])

    def _add_fetch_decision(self, entry):
        fetch = self._last_fetch(entry)
        fetch["decision"], fetch["decided"] = entry["decision"], entry["mono"]

    def _add_start(self, entry):
        run = Run(entry["writer"], entry["jid"], self._last_fetch(entry), entry["mono"])
        self._copy(entry).runs.append(run)

    def _last_fetch(self, entry):
        """Return the entry of the FETCH that this entry follows."""
        fetches = self._copy(entry).fetches
        return next(fetch for fetch in reversed(fetches) if fetch["writer"] == entry["writer"])

    def _add_end(self, entry):
        copy = self._copy(entry)
        for run in reversed(copy.runs):
            if run.process == entry["writer"] and run.ended == math.inf:
                run.ended = entry["mono"]
                break
        if entry["outcome"] == "done":
            copy.completions.append(entry)

    def _add_report(self, entry):
        delay = entry.get("delay", 0.0)
        final = entry.get("final", False)
        report = Report(entry["type"], entry["writer"], entry["mono"], delay=delay, final=final)
        self._copy(entry).reports.append(report)

    def _add_report_status(self, entry):
        pending = (entry["type"].removesuffix("_status"), entry["writer"], None)
        for report in reversed(self._copy(entry).reports):
            if (report.type, report.process, report.status) == pending:
                report.status, report.ended = entry["status"], entry["mono"]
                return

    _add_ack = _add_fail = _add_requeue = _add_report
    _add_ack_status = _add_fail_status = _add_requeue_status = _add_report_status

    def _add_held(self, entry):
        """Note when an ACK reached the server, if it was held for less than its sender waits."""
        is_ack = (entry["command"], entry["towards"]) == ("ACK", "server")
        if is_ack and entry["ended"] - entry["began"] < CLIENT_TIMEOUT - _RESENT_SECONDS:
            for copy in (job.copies.get(entry["subject"]) for job in self.jobs.values()):
                for report in copy.reports[-1:] if copy else ():
                    if report.type == "ack" and report.began <= entry["began"]:
                        report.arrived = entry["ended"]

    def _add_fault(self, entry):
        self.faults.append(entry)

    def _add_locks_lost(self, entry):
        self.lock_losses.append(entry)

    def _add_faktory_killed(self, entry):
        self.faktory_kills.append(entry)

    def _add_stored(self, entry):
        self._stored[entry["owner"]].append(entry["mono"])

    def _add_faults_ended(self, entry):
        self.faults_ended = entry["mono"]

    def _add_exited(self, entry):
        self.exits[entry["process"]] = entry["mono"]

    def _add_ended(self, entry):
        self.ends.setdefault(entry["process"], (entry["mono"], entry["how"]))


def _wait(entry):
    """Return the seconds until a pushed job is in its queue, with the promotion's margin."""
    if not entry["at"]:
        return 0.0
    ahead = datetime.fromisoformat(entry["at"]).timestamp() - entry["wall"]
    return ahead + PROMOTION_SECONDS if ahead > 0 else 0.0
