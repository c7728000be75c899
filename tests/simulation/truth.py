"""What is so, whoever believes what: jobs on the server, locks in the store, and the promises.

Watches the server's and the store's own innards, and writes down each breach of a promise of
docs/design.md §1 as it happens; `breaches` at the end adds what shows only then.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field

from faktory_unique import EventName, PushStatus
from faktory_unique.change import is_leased, owner_of
from faktory_unique.stamp import read_stamp
from faktory_unique.testing.fake import FakeStore

# Seconds: the server's shortest reservation, which all jobs here have.
RESERVED = 60

# By any of these a lapse has been reported.
_REPORTS = {
    EventName.LAPSED,
    EventName.REACQUIRED,
    EventName.PUSH_UNKNOWN,
    EventName.UNGUARDED,
    EventName.STORE_ERROR,
    EventName.PUT_BACK,
}


@dataclass
class Work:
    """All copies of one piece of work: those with one owner.

    Attributes:
        live: jids on the server.
        begun: how often a handler has begun it.
        lapsed: whether its lock ran out while it lived.
        must_be_told: whether somebody must have told of that.
        reported_late: whether it ended by its reservation's expiry, or when that could have been:
            nobody knows then whether it will run again.
        unanswered: whether the last word about it was carried out, and its answer lost.
        touched: who had to do with it.
    """

    owner: str
    key: str
    until: str
    live: set = field(default_factory=set)
    begun: int = 0
    accepted: int = 0
    lapsed: bool = False
    must_be_told: bool = False
    reported_late: bool = False
    unanswered: bool = False
    touched: set = field(default_factory=set)

    @property
    def is_guarded(self):
        """Whether an equal may not be pushed now."""
        return bool(self.live) and not (self.until == "start" and self.begun)


@dataclass(frozen=True)
class Sent:
    """Who has sent what is carried out late: what it might do then."""

    name: str
    works_on: dict | None
    owners: set


class Truth:
    """The truth of one world."""

    def __init__(self, world):
        self._world = world
        self.broken = []
        self.executed = Counter()
        self._payloads = {}
        self._works = {}
        self._replaced = set()
        self._dropped = set()
        self._over = set()
        self._running = defaultdict(dict)
        self._waits_since = {}
        self._reserved_by = {}
        self.late_at_store = False
        self._actor = None
        self._struck = {}
        self._events = []
        self._unguarded = set()
        self._watch(world.faktory._core.manager)

    # ---- who does what -----------------------------------------------------------------------

    @contextmanager
    def acting(self, process):
        """What happens within is this process's doing."""
        before, self._actor = self._actor, process
        try:
            yield
        finally:
            self._actor = before

    def as_of_now(self, process):
        """A process as it is now, to act later."""
        return Sent(process.name, process.works_on, self._may_change(process))

    @contextmanager
    def working(self, process, job):
        """Within, a process works a job; a killed one no more."""
        self._running[job["jid"]][process.name] = process, self._world.clock()
        process.works_on = job
        try:
            yield
        finally:
            process.works_on = None
            del self._running[job["jid"]][process.name]

    def struck(self, process, fault):
        """A fault has struck a process, or, where it is None, all."""
        self._struck.setdefault(process.name if process else None, set()).add(fault)

    def told(self, event):
        """An event was given to a hook."""
        self._events.append(event)
        if event.name is EventName.UNGUARDED:
            self._unguarded.add(event.owner)

    def began(self, jid):
        """A handler begins; how often one has for this work."""
        work = self._work_of(self.job(jid))
        work.begun += 1
        # Of `start`, a later attempt has no lock as a rule: nobody can tell that it should have.
        first = jid == work.owner and not self.job(jid).get("failure")
        if work.lapsed and first and work.until == "start":
            work.must_be_told = True
        return work.begun

    def ended_well(self, jid):
        """A handler has done the work."""
        self.executed[jid] += 1

    def answered(self, process, answer):
        """A command of a process that works a job was carried out, and perhaps answered."""
        if process.works_on is not None:
            self._work_of(process.works_on).unanswered = not answer

    def drops(self, jid):
        """A middleware has decided that a job is not to run."""
        self._dropped.add(jid)

    def job(self, jid):
        """A job's payload, as it was last fetched."""
        return self._payloads[jid]

    def jids(self):
        """Of all jobs that were accepted."""
        return set(self._payloads)

    def check_results(self, results, before):
        """What a push told its caller must be so; `before`: the jids that were there already."""
        for result in results:
            there = result.jid in self._payloads
            if result and not there:
                self._break("untrue", f"{result.jid} was said to be pushed")
            refused = result.status in {PushStatus.REFUSED, PushStatus.NOT_SENT}
            if refused and there and result.jid not in before:
                self._break("untrue", f"{result.jid} was said to be {result.status}")

    # ---- the server --------------------------------------------------------------------------

    def _watch(self, manager):
        push, enqueue, reserve = manager.push, manager._enqueue, manager.reserve
        acknowledge, process_failure = manager.acknowledge, manager._process_failure

        def pushed(job):
            push(job)
            self._accepted(job)

        def enqueued(job):
            enqueue(job)
            self._waits_since[job["jid"]] = self._world.clock()

        def reserved(wid, payload):
            text = reserve(wid, payload)
            job = json.loads(text)
            self._reserved_by[job["jid"]] = self._actor.name
            self._waits_since.pop(job["jid"], None)
            self._payloads[job["jid"]] = job
            self._fetched(job["jid"])
            return text

        def acknowledged(jid):
            was_there = jid in manager.reservations
            acknowledge(jid)
            if was_there:
                self._reported(jid)
                self._acknowledged(jid)

        def failed(jid, failure):
            job = manager.reservations[jid].job if jid in manager.reservations else None
            dead = len(manager.dead)
            process_failure(jid, failure)
            if job is not None and failure["errtype"] != "ReservationExpired":
                self._reported(jid)
            if job is not None and (job["retry"] == 0 or len(manager.dead) > dead):
                self._is_over(jid)

        manager.push, manager._enqueue, manager.reserve = pushed, enqueued, reserved
        manager.acknowledge, manager._process_failure = acknowledged, failed

    def _accepted(self, job):
        jid, stamp = job["jid"], read_stamp(job)
        self._payloads[jid] = job
        actor = self._actor
        if stamp is None:
            self._break("unstamped", f"{jid} was pushed without a stamp")
            return
        if actor.works_on is not None and read_stamp(actor.works_on).owner == stamp.owner:
            self._replaced.add(actor.works_on["jid"])
            self._work_of(actor.works_on).live.discard(actor.works_on["jid"])
        work = self._works.setdefault(stamp.owner, Work(stamp.owner, stamp.key, stamp.until))
        for other in self._works.values():
            if other is not work and other.key == work.key and other.is_guarded:
                self._overlaps(other, work)
        work.accepted += 1
        work.live.add(jid)
        work.touched.add(actor.name)

    def _fetched(self, jid):
        work = self._work_of(self.job(jid))
        if work is None:
            return
        work.touched.add(self._actor.name)
        work.live.add(jid)  # again, where its worker has pushed a copy and died before its ACK

    def _overlaps(self, other, work):
        if other.lapsed or self._may_be_twice(other):
            return
        if self._unguarded & {other.owner, work.owner}:
            return
        # Its producer may have stood still, and its lease run out, between its take and its PUSHB.
        if any(fault.is_stop for fault in self._struck.get(self._actor.name, ())):
            work.must_be_told = True
        else:
            self._break("two live", f"{work.owner} was accepted while {other.owner} lives")

    def _reported(self, jid):
        if self._actor.name != self._reserved_by[jid] and not self._was_stopped():
            self._break("stolen", f"{self._actor} has reported another worker's run of {jid}")

    def _acknowledged(self, jid):
        if not (self.executed[jid] or jid in self._replaced or jid in self._dropped):
            self._break("lost", f"{jid} was acknowledged and never done")
        self._is_over(jid)

    def _is_over(self, jid):
        self._over.add(jid)
        work = self._work_of(self.job(jid))
        if work is None:
            return
        work.live.discard(jid)
        _, since = self._running[jid].get(self._actor and self._actor.name, (None, None))
        if since is None or self._world.clock() >= since + RESERVED:
            work.reported_late = True

    def _work_of(self, job):
        stamp = read_stamp(job)
        return None if stamp is None else self._works[stamp.owner]

    # ---- the store ---------------------------------------------------------------------------

    def lock_lapsed(self, value):
        """A lock has run out."""
        work = self._works.get(owner_of(value))
        if work is None or not work.is_guarded:
            return
        work.lapsed = True
        # Where its time is fixed it may be over while it runs, and nobody asks the store then.
        work.must_be_told = work.until == "success" and self._world.policy.get("renew", True)
        if not self._may_lapse(work):
            self._break("lapsed", f"the lock of {work.owner} ran out, and it lives")

    def lock_changed(self, change, found):
        """A process has changed a lock."""
        if change.value is None and found is None:
            return
        actor = self._actor
        owner = owner_of(change.value or found)
        if found is None and is_leased(change.value):
            actor.owners.add(owner)
        if found is not None and (owner_of(found) != owner or owner not in self._may_change(actor)):
            self._break("foreign", f"{actor} has changed the lock of {owner_of(found)}")
        if change.value is None:
            self._freed(found)
        else:
            self._set(change, owner, found)

    def _freed(self, value):
        owner = owner_of(value)
        work = self._works.get(owner)
        if work is None:
            return
        # Another worker's run counts for as long as it may believe in its reservation.
        now = self._world.clock()
        elsewhere = any(
            name != self._actor.name and not process.dead and now < since + RESERVED
            for jid in self._over
            for name, (process, since) in self._running[jid].items()
            if read_stamp(self.job(jid)).owner == owner
        )
        # Of `start`, whoever has fetched it is about to begin it.
        starts = work.until == "start" and self._actor.works_on is not None
        if starts:
            work.begun = work.begun or 1
        # Of a push whose first try ended unknown, and whose lease ran out: as it was before.
        gives_back = work.lapsed and is_leased(value) and self._actor.works_on is None
        may_be = starts or gives_back or self._may_be_twice(work) or self._was_stopped()
        if (work.live or elsewhere) and not may_be:
            self._break("freed", f"the lock of {owner} was freed, and it lives")

    def _set(self, change, owner, found):
        work, actor = self._works.get(owner), self._actor
        policy = self._world.policy
        if work is None:
            if not (is_leased(change.value) and change.ttl <= policy["lease"]):
                self._break("no lease", f"the lock of {owner}, not pushed, was set: {change}")
            return
        if change.ttl > self._world.longest_ttl:
            self._break("too long", f"the lock of {owner} lives {change.ttl} s")
        # What is owed to the lock of a job that ended meanwhile may last longer, but not be taken.
        may_be = self._was_stopped() if found is None else self._has_struck(work)
        kept = policy.get("on_death") == "keep" or policy.get("until") == "expiry"
        over = not work.live and not kept
        if over and not is_leased(change.value) and not may_be:
            self._break("orphan", f"{actor} has set the lock of {owner}, which is over: {change}")

    def _may_change(self, actor):
        """Owners whose locks this process may change now."""
        if isinstance(actor, Sent):
            return actor.owners
        owed = {owner for _, owner in actor.unique._parts.kept._entries}
        if actor.works_on is not None:
            return {read_stamp(actor.works_on).owner, *owed}
        return {*actor.owners, *owed}

    def _may_lapse(self, work):
        """Whether it has waited too long, or something struck who had to do with it."""
        latest = self._world.clock() - self._world.policy["ttl"]
        waits = any(self._waits_since.get(jid, latest + 1) <= latest for jid in work.live)
        fixed = work.until == "expiry" or not self._world.policy.get("renew", True)
        return waits or fixed or self._has_struck(work) or self._world.may_lapse

    def _has_struck(self, work):
        """Whether something has struck a process that had to do with the work."""
        return bool(self._struck.keys() & {None, *work.touched})

    def _may_be_twice(self, work):
        """Whether two of its copies may live at once: something struck as it was pushed again."""
        return work.accepted > 1 and self._has_struck(work)

    def _was_stopped(self):
        """Whether somebody stood still amid what it did, or what it told the store did."""
        return self.late_at_store or any(
            fault.is_stop for faults in self._struck.values() for fault in faults
        )

    # ---- the end -----------------------------------------------------------------------------

    def breaches(self):
        """Each breach of a promise: a name, and what happened."""
        for jid in self._payloads:
            if jid not in self._over:
                self._break("lost", f"{jid} was accepted, and is gone")
        if any(work.must_be_told for work in self._works.values()) and not any(
            event.name in _REPORTS for event in self._events
        ):
            self._break("unreported", "a lock ran out, and nobody was told")
        for value in self._world.store.values().values():
            if not self._may_be_left(value):
                self._break("orphan", f"the lock {value} stands, and nothing was to keep it")
        return self.broken

    def _may_be_left(self, value):
        """Whether a lock whose job is over may stand until its time is out."""
        struck = {fault for faults in self._struck.values() for fault in faults}
        work = self._works.get(owner_of(value))
        return (
            any(fault.is_crash or fault.is_stop for fault in struck)
            or self.late_at_store
            or (is_leased(value) and bool(struck))
            or self._world.policy.get("on_death") == "keep"
            or self._world.policy.get("until") == "expiry"
            or (work is not None and (work.reported_late or work.unanswered))
        )

    def _break(self, name, told):
        self.broken.append((name, told))


class Store(FakeStore):
    """The store that all processes share, and which the truth watches."""

    truth: Truth

    def _change(self, change):
        found = super()._change(change)
        if change.happened(found) and change.expected:
            self.truth.lock_changed(change, found)
        return found

    def _lapse(self):
        before = dict(self._locks)
        super()._lapse()
        for key, (value, _) in before.items():
            if key not in self._locks:
                self.truth.lock_lapsed(value)
