"""Scenario: journal entries made for a test of the audit, one method for each step of a run."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.chaos.audit import Audit
from tests.chaos.details import ALSO_REPLACED, REPLACED_BY, REPLACES, run_blocked_detail
from tests.chaos.faktory_kills import MOVE_SECONDS
from tests.chaos.history import History
from tests.chaos.records import ACCEPTED_STATUSES

EXCLUSIVE_KEY = "u:ChaosExclusive:k"
REPLACE_KEY = "u:ChaosReplace:k"

# The wall clock is ahead of the monotonic clock by this much.
EPOCH = 1_800_000_000.0


class Scenario:
    """Journal entries; each method adds those that a real run would have written at a time."""

    def __init__(self):
        self._entries = []
        self._calls = 0

    def history(self):
        """Return the history that these entries make."""
        return History(sorted(self._entries, key=lambda entry: entry["mono"]))

    def audit(self, *pending_owners):
        """Return the audit of this history."""
        return Audit(self.history(), pending_owners)

    def reasons(self):
        """Return the reason of each overlap; None if nothing explains it."""
        audit = self.audit()
        assert list(audit.lines())  # each reason has a description
        return [overlap.reason for overlap in audit.overlaps]

    def push(
        self,
        owner,
        began,
        ended=None,
        *,
        status="pushed",
        key="k",
        jid=None,
        ahead=0,
        process="p",
        holder=None,
        replaces=None,
        job=None,
        confirmed=True,
        confirm_event=True,
        stored=True,
        sent=0.02,
        why="",
    ):
        """A push that acquired its lock, or replaced the job of another owner.

        Args:
            owner: the jid of the job's first push.
            began: when the push began.
            ended: when it had its result, 0.1 s later by default.
            status: of the result; None if the process ended without one.
            key: the lock key.
            jid: the jid under which it was sent, by default the owner.
            ahead: seconds until a scheduled job is due.
            process: the producer.
            holder: for a duplicate, the owner of the lock.
            replaces: the owner of the replaced job.
            job: the jid of the caller's Job, if the owner is another.
            confirmed: whether the result says so.
            confirm_event: whether a pushed job's lock was confirmed.
            stored: whether Faktory stored an accepted job.
            sent: seconds until it was sent.
            why: for an unguarded push, the reason that its event gives.
        """
        self._calls += 1
        ended = began + 0.1 if ended is None else ended
        at = datetime.fromtimestamp(EPOCH + began + ahead, UTC).isoformat() if ahead else ""
        self._add(began, process, "pushing", call=self._calls, jid=job or owner, key=key, at=at)
        fields = {"key": key, "jid": jid, "process": process}
        if status == "unguarded":
            self.event("unguarded", owner, began + 0.01, **fields, detail=why)
        elif status != "duplicate" and not replaces:
            self.event("acquired", owner, began + 0.01, **fields)
        if status not in {"duplicate", "not_sent"}:
            names = {"job": job or owner, "jid": jid or owner, "owner": owner, "key": key}
            self._add(began + sent, process, "sent", **names, replaces=replaces)
        if status == "pushed" and confirm_event:
            detail = f"{REPLACES}{replaces}" if replaces else ""
            self.event("confirmed", owner, ended - 0.01, **fields, detail=detail)
        if status in ACCEPTED_STATUSES and stored:
            self.store(owner, ended - 0.05)
        if status is not None:
            result = {"status": status, "result_jid": holder or jid or owner}
            submitted = {"call": self._calls, "jid": job or owner, "key": key}
            self._add(ended, process, "result", **submitted, **result, confirmed=confirmed)

    def push_unguarded(self, owner, began, *, process="producer-0.1", outage=0.5, **push):
        """An unguarded push by a producer, during an outage of Redis that ended at this age."""
        self.delay("redis", began - 3, began - outage)
        self.push(owner, began, status="unguarded", process=process, **push)

    def push_without_place(self, owner, began, replaced, *, lapsed=True):
        """A replacement that was pushed when another job had its lock."""
        self.push(owner, began, key=REPLACE_KEY, replaces=replaced, confirm_event=False)
        if lapsed:
            detail = f"another {ALSO_REPLACED} {replaced}, too"
            self.event("lapsed", owner, began + 0.09, process="p", detail=detail)

    def event(self, name, owner, mono, *, key="k", jid=None, process="w", detail=""):
        """An event of `Unique`."""
        fields = {"name": name, "key": key, "owner": owner, "jid": jid or owner, "detail": detail}
        self._add(mono, process, "event", **fields)

    def fetch(
        self,
        owner,
        mono,
        *,
        jid=None,
        process="w",
        failures=0,
        parent=None,
        event="renewed",
        detail="",
        replaces=None,
        decision=None,
    ):
        """A FETCH, the event of the lock (None: there was none), and the decision if known."""
        fields = _fields(owner, jid)
        enqueued_at = datetime.fromtimestamp(EPOCH + mono, UTC).isoformat()
        more = {"failures": failures, "parent": parent, "enqueued_at": enqueued_at}
        self._add(mono, process, "fetch", **fields, **more, replaces=replaces)
        if event is not None:
            self.event(event, owner, mono + 0.01, jid=jid, process=process, detail=detail)
        if decision is not None:
            self._add(mono + 0.02, process, "fetch_decision", **fields, decision=decision)

    def start(self, owner, mono, *, jid=None, process="w"):
        """The start of its handler."""
        self._add(mono, process, "start", **_fields(owner, jid))

    def done(self, owner, mono, *, jid=None, process="w"):
        """The successful end of its handler."""
        self._add(mono, process, "end", **_fields(owner, jid), outcome="done")

    def report(
        self,
        type_,
        owner,
        mono,
        status="accepted",
        *,
        jid=None,
        process="w",
        stored=True,
        final=False,
    ):
        """An ACK, FAIL or requeue, and its status (None: the worker never knew it).

        After a final FAIL no retry is left.
        """
        fields = _fields(owner, jid)
        self._add(mono, process, type_, **fields, final=final)
        if status == "accepted" and type_ != "ack" and stored:
            self.store(owner, mono + 0.01)
        if status is not None:
            self._add(mono + 0.02, process, f"{type_}_status", **fields, status=status)

    def hold(self, command, jid, began, ended):
        """A command for a job that was held on its way to Faktory."""
        what = {"command": command, "subject": jid, "towards": "server"}
        self._add(ended, "controller", "held", **what, began=began, ended=ended)

    def finish(self, owner, mono, *, jid=None, process="w"):
        """The successful end of its handler, and its ACK."""
        self.done(owner, mono, jid=jid, process=process)
        self.report("ack", owner, mono, jid=jid, process=process)

    def supersede(self, owner, mono, successor):
        """A FETCH of a job that was replaced, and its ACK."""
        detail = f"{REPLACED_BY}{successor}"
        self.fetch(owner, mono, event="superseded", detail=detail, decision="Drop")
        self.report("ack", owner, mono + 0.1)

    def block(self, owner, mono, running, *, process="w"):
        """A FETCH of a job that is blocked by a running one, and its requeue."""
        detail = run_blocked_detail(running)
        blocked = {"event": "run_blocked", "detail": detail, "decision": "Requeue"}
        self.fetch(owner, mono, process=process, **blocked)
        self.report("requeue", owner, mono + 0.1, process=process)

    def run(self, owner, mono, *, jid=None, process="w", parent=None, takes=1.0, **fetch):
        """A FETCH, a handler that succeeds, and an ACK."""
        self.fetch(owner, mono, jid=jid, process=process, parent=parent, decision="Run", **fetch)
        self.start(owner, mono + 0.05, jid=jid, process=process)
        self.finish(owner, mono + takes, jid=jid, process=process)

    def push_y_during_x(self, fetched, pushed, *, jid=None, **fetch):
        """A FETCH of x, a push of y while x runs, the end of x, then a run of y."""
        self.fetch("x", fetched, jid=jid, **fetch)
        self.push("y", pushed)
        self.finish("x", pushed + 1, jid=jid)
        self.run("y", pushed + 2)

    def push_y_before_x_runs(self, pushed):
        """A push of y, then a run of x and a run of y."""
        self.push("y", pushed)
        self.run("x", pushed + 2)
        self.run("y", pushed + 4)

    def lose_locks(self, began, ended):
        """Redis lost all locks."""
        self._add(ended, "controller", "locks_lost", began=began, ended=ended)

    def restart(self, server, began, ended):
        """An orderly restart of a server."""
        self._fault("restart", server, None, began, ended)

    def store(self, owner, mono):
        """Faktory stores a job, or moves it to another place."""
        self._add(mono, "controller", "stored", owner=owner, jid=owner, place="q:default")

    def kill_faktory(self, mono, *owners, before=(), most_moves=3):
        """A SIGKILL to Faktory when it had the jobs of these owners.

        Args:
            mono: when it was paused.
            owners: those of the jobs that it had then.
            before: those of the jobs that it had a moment before.
            most_moves: the number of jobs that it can have moved.
        """
        earlier = {"began": mono - MOVE_SECONDS, "owners": list(before)}
        fields = {"began": mono, "owners": list(owners), "before": earlier}
        self._add(mono, "controller", "faktory_killed", **fields, most_moves=most_moves)

    def delay(self, server, began, ended):
        """A delay of all bytes to and from a server."""
        self._fault("delay", server, None, began, ended)

    def stop(self, process, began, ended):
        """A SIGSTOP to a process, and SIGCONT later."""
        self._fault("stop", "worker", process, began, ended)

    def end_faults(self, mono):
        """The end of all faults."""
        self._add(mono, "controller", "faults_ended")

    def end(self, process, mono, how="kill"):
        """A SIGKILL or SIGTERM to a process."""
        self._add(mono, "controller", "ended", process=process, how=how)

    def exit(self, process, mono):
        """The exit of a process that got SIGTERM."""
        self._add(mono, "controller", "exited", process=process, after=0)

    def _fault(self, kind, target, victim, began, ended):
        fields = {"kind": kind, "target": target, "victim": victim}
        self._add(ended, "controller", "fault", began=began, ended=ended, **fields)

    def _add(self, mono, writer, type_, **fields):
        clocks = {"mono": mono, "wall": EPOCH + mono}
        self._entries.append({**clocks, "writer": writer, "type": type_, **fields})


def _fields(owner, jid):
    return {"jid": jid or owner, "owner": owner, "key": "k"}
