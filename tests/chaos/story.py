"""Journals written by hand, for the tests of what is read in them."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.chaos.accounts import Accounts
from tests.chaos.facts import Facts

# Wall clock and monotonic clock are apart by this much.
EPOCH = 1_800_000_000.0


class Story:
    """Lines of journals: each method adds what a run would have written at a time."""

    def __init__(self):
        self._lines = []
        self._calls = 0

    def facts(self):
        """The journals, read."""
        return Facts(sorted(self._lines, key=lambda line: line["mono"]))

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
        who="p",
        holder=None,
        replaces=None,
        job=None,
    ):
        """A push that took its lock, or that of the owner whom it replaces.

        With `status` None its process was never heard of again; `job` is the jid of the Job, where
        the owner is another.
        """
        self._calls += 1
        ended = began + 0.1 if ended is None else ended
        at = datetime.fromtimestamp(EPOCH + began + ahead, UTC).isoformat() if ahead else ""
        self._note(began, who, "pushing", call=self._calls, jid=job or owner, key=key, at=at)
        if status == "unguarded":
            self.event("unguarded", owner, began + 0.01, key=key, jid=jid, who=who)
        elif status != "duplicate" and not replaces:
            self.event("acquired", owner, began + 0.01, key=key, jid=jid, who=who)
        if replaces or job:
            sent = {"job": job or owner, "jid": jid or owner, "owner": owner, "key": key}
            self._note(began + 0.02, who, "sent", **sent, replaces=replaces)
        if status == "pushed":
            detail = f"in the place of {replaces}" if replaces else ""
            self.event("confirmed", owner, ended - 0.01, key=key, jid=jid, who=who, detail=detail)
        if status is not None:
            result = {"status": status, "stands": holder or jid or owner, "confirmed": True}
            about = {"call": self._calls, "jid": job or owner, "key": key}
            self._note(ended, who, "result", **about, **result)

    def event(self, name, owner, mono, *, key="k", jid=None, who="w", detail=""):
        """Something that happened to a lock."""
        about = {"name": name, "key": key, "owner": owner, "jid": jid or owner, "detail": detail}
        self._note(mono, who, "event", **about)

    def fetch(
        self,
        owner,
        mono,
        *,
        jid=None,
        who="w",
        failures=0,
        parent=None,
        held="renewed",
        detail="",
        replaces=None,
        answer=None,
    ):
        """A fetch, what became of the lock (None: the worker was not detail), and the answer."""
        job = {"jid": jid or owner, "owner": owner, "key": "k"}
        enqueued = datetime.fromtimestamp(EPOCH + mono, UTC).isoformat()
        more = {"failures": failures, "parent": parent, "enqueued_at": enqueued}
        self._note(mono, who, "fetch", **job, **more, replaces=replaces)
        if held is not None:
            self.event(held, owner, mono + 0.01, jid=jid, who=who, detail=detail)
        if answer is not None:
            self._note(mono + 0.02, who, "fetch_answer", **job, answer=answer)

    def started(self, owner, mono, *, jid=None, who="w"):
        """Its handler begins."""
        self._note(mono, who, "start", jid=jid or owner, owner=owner, key="k")

    def done(self, owner, mono, *, jid=None, who="w"):
        """Its handler comes to a good end."""
        job = {"jid": jid or owner, "owner": owner, "key": "k"}
        self._note(mono, who, "end", **job, outcome="done")

    def report(self, what, owner, mono, answer="accepted", *, jid=None, who="w"):
        """An ACK, FAIL or put-back and its answer (None: it never came)."""
        job = {"jid": jid or owner, "owner": owner, "key": "k"}
        self._note(mono, who, what, **job)
        if answer is not None:
            self._note(mono + 0.02, who, f"{what}_answer", **job, answer=answer)

    def aside(self, owner, mono, successor, *, jid=None, who="w"):
        """A fetch of a job that was replaced, and its ACK."""
        detail = f"replaced by {successor}"
        self.fetch(owner, mono, jid=jid, who=who, held="superseded", detail=detail, answer="Drop")
        self.report("ack", owner, mono + 0.1, jid=jid, who=who)

    def run(self, owner, mono, *, jid=None, who="w", parent=None, takes=1.0, **fetched):
        """A fetch, a handler that comes to a good end, and an ACK."""
        self.fetch(owner, mono, jid=jid, who=who, parent=parent, answer="Run", **fetched)
        self.started(owner, mono + 0.05, jid=jid, who=who)
        self.done(owner, mono + takes, jid=jid, who=who)
        self.report("ack", owner, mono + takes, jid=jid, who=who)

    def forgot(self, began, ended):
        """Redis has lost all locks."""
        self._note(ended, "controller", "forgot", began=began, ended=ended)

    def restarted(self, server, began, ended):
        """In good order."""
        about = {"kind": "restart", "target": server, "victim": None}
        self._note(ended, "controller", "fault", began=began, ended=ended, **about)

    def faktory_killed(self, mono, *owners):
        """By SIGKILL, when it had the jobs of these owners."""
        more = {"server": "faktory", "began": mono, "owners": list(owners), "jids": list(owners)}
        self._note(mono, "controller", "killed", **more)

    def delayed(self, server, began, ended):
        """What was sent to it came later."""
        about = {"kind": "delay", "target": server, "victim": None}
        self._note(ended, "controller", "fault", began=began, ended=ended, **about)

    def stopped(self, who, began, ended):
        """SIGSTOP, and SIGCONT later."""
        more = {"kind": "stop", "target": "worker", "victim": who, "began": began, "ended": ended}
        self._note(ended, "controller", "fault", **more)

    def calm(self, mono):
        """From here on there were no faults."""
        self._note(mono, "controller", "calm")

    def ended(self, who, mono, how="kill"):
        """A process was killed, or told to end."""
        self._note(mono, "controller", "ended", process=who, how=how)

    def gone(self, who, mono):
        """One that was told to end has ended."""
        self._note(mono, "controller", "gone", process=who, after=0)

    def _note(self, mono, who, what, **more):
        line = {"mono": mono, "t": EPOCH + mono, "who": who, "what": what, **more}
        self._lines.append(line)


def reasons(story):
    """Why each of a story's overlaps may be; None: nothing explains it."""
    accounts = Accounts(story.facts())
    assert list(accounts.cases())  # each reason has words
    return [overlap.reason for overlap in accounts.overlaps]


def overlap(story, taken):
    """The second job is pushed while the first is there."""
    story.push("y", taken)
    story.run("x", taken + 2)
    story.run("y", taken + 4)


def without_place(story, owner, began, of, key):
    """A push in the place of one whose place was another's by then."""
    story.push(owner, began, key=key, replaces=of, status="unconfirmed")
    story._lines[-1]["status"] = "pushed"
    detail = f"another has the place of {of}, too"
    story.event("lapsed", owner, began + 0.09, who="p", detail=detail)
