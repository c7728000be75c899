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
    ):
        """A push that took its lock; with `status` None its process was never heard of again."""
        self._calls += 1
        ended = began + 0.1 if ended is None else ended
        at = datetime.fromtimestamp(EPOCH + began + ahead, UTC).isoformat() if ahead else ""
        self._note(began, who, "pushing", call=self._calls, jid=owner, key=key, at=at)
        if status == "unguarded":
            self.event("unguarded", owner, began + 0.01, key=key, jid=jid, who=who)
        elif status != "duplicate":
            self.event("acquired", owner, began + 0.01, key=key, jid=jid, who=who)
        if status == "pushed":
            self.event("confirmed", owner, ended - 0.01, key=key, jid=jid, who=who)
        if status is not None:
            result = {"status": status, "stands": holder or jid or owner, "confirmed": True}
            self._note(ended, who, "result", call=self._calls, jid=owner, key=key, **result)

    def event(self, name, owner, mono, *, key="k", jid=None, who="w"):
        """Something that happened to a lock."""
        about = {"name": name, "key": key, "owner": owner, "jid": jid or owner, "told": ""}
        self._note(mono, who, "event", **about)

    def fetch(self, owner, mono, *, jid=None, who="w", failures=0, parent=None, held="held"):
        """A fetch, and what became of the lock (None: the worker was not told)."""
        job = {"jid": jid or owner, "owner": owner, "key": "k"}
        enqueued = datetime.fromtimestamp(EPOCH + mono, UTC).isoformat()
        more = {"failures": failures, "parent": parent, "enqueued_at": enqueued}
        self._note(mono, who, "fetch", **job, **more)
        if held is not None:
            self.event(held, owner, mono + 0.01, jid=jid, who=who)

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

    def run(self, owner, mono, *, jid=None, who="w", parent=None, takes=1.0):
        """A fetch, a good end and an ACK."""
        self.fetch(owner, mono, jid=jid, who=who, parent=parent)
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

    def stopped(self, who, began, ended):
        """SIGSTOP, and SIGCONT later."""
        more = {"kind": "stop", "victim": who, "began": began, "ended": ended}
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
