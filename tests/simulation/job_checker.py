"""What becomes of jobs on the server."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import contextmanager

from faktory_unique.locks.server_rules import failures_before
from faktory_unique.locks.stamp import read_stamp
from tests.simulation.superseded_checker import AsideTruth
from tests.simulation.work import RESERVED, Work


class JobTruth:
    """The jobs of one world.

    Args:
        truth: of the world.
        manager: the server's, whose methods it watches.

    Attributes:
        asides: of the jobs that step aside for others.
    """

    def __init__(self, truth, manager):
        self._truth = truth
        self._payloads = {}
        self._executed = Counter()
        self._begun = set()
        self._replaced = set()
        self._dropped = set()
        self._over = set()
        self._running = defaultdict(dict)
        self._waits_since = {}
        self._reserved_by = {}
        self._handling = {}
        self.asides = AsideTruth(truth)
        self._watch(manager)

    # ---- what workers do ---------------------------------------------------------------------

    @contextmanager
    def working(self, process, job):
        """Within, a process works a job; a killed one no more."""
        self._running[job["jid"]][process.name] = process, self._truth.now()
        process.works_on = job
        try:
            yield
        finally:
            process.works_on = None
            del self._running[job["jid"]][process.name]

    @contextmanager
    def handling(self, process, jid):
        """Within, a handler runs: how often one has for this work."""
        work = self.work_of(self.job(jid))
        if read_stamp(self.job(jid)).exclusive:
            self._check_alone(process, work)
        self._handling[process.name] = process, work, self._truth.now()
        try:
            yield self._began(jid, work)
        finally:
            del self._handling[process.name]

    def _check_alone(self, process, work):
        """No other handler of an exclusive job of the same key runs, that may still run."""
        for other, others, since in self._handling.values():
            runs = not other.dead and self._truth.now() < since + RESERVED
            still = self._truth.struck.any_stood_still([process.name, other.name])
            if others.key == work.key and runs and not still:
                self._truth.broke("two at once", f"{work.owner} runs, and {others.owner} does")

    def _began(self, jid, work):
        work.begun += 1
        self._begun.add(jid)
        self.asides.begins(jid, work)
        # Of `start`, a later attempt has no lock as a rule: nobody can tell that it should have.
        first = jid == work.owner and not self.job(jid).get("failure")
        if work.lapsed and first and work.until == "start":
            work.must_be_told = True
        return work.begun

    def ended_well(self, jid):
        """A handler has done the work."""
        self._executed[jid] += 1
        self.work_of(self.job(jid)).done = True

    def ended_badly(self, jid):
        """A handler has failed: what becomes of the job is between it and its retries."""
        self.work_of(self.job(jid)).failed = True

    def answered(self, process, answer):
        """A command of a process that works a job was carried out, and perhaps answered."""
        if process.works_on is not None:
            self.work_of(process.works_on).unanswered = not answer

    def drops(self, jid):
        """A middleware has decided that a job is not to run, and nobody asks for its lock."""
        self._dropped.add(jid)
        work = self.work_of(self.job(jid))
        work.done, work.must_be_told = True, False

    def job(self, jid):
        """A job's payload, as it was last fetched."""
        return self._payloads[jid]

    def jids(self):
        """Of all jobs that were accepted."""
        return set(self._payloads)

    def runs_elsewhere(self, owner, name):
        """Whether another worker runs a copy, and may believe in its reservation.

        Of a copy that is over on the server: one that is not counts as live as it is.
        """
        return any(
            runner != name and not process.dead and self._truth.now() < since + RESERVED
            for jid in self._over
            for runner, (process, since) in self._running[jid].items()
            if read_stamp(self.job(jid)).owner == owner
        )

    def waits_longer(self, work, seconds):
        """Whether a copy has waited in its queue for so long."""
        latest = self._truth.now() - seconds
        return any(self._waits_since.get(jid, latest + 1) <= latest for jid in work.live)

    def gone(self):
        """The jids of jobs that were accepted, and did not end by any report or expiry."""
        return [jid for jid in self._payloads if jid not in self._over]

    def undone(self):
        """Works that were begun and not done, though nothing kept who had them from that."""
        struck = self._truth.struck
        nobodys = {  # in the answer to a FETCH that was lost
            self.work_of(self.job(jid)).owner for jid in self._over - self._begun - self._replaced
        }
        return [
            work
            for work in self._truth.works.values()
            if work.begun and not (work.done or work.failed or work.owner in nobodys)
            if not (struck.killed(work.touched) or struck.held_up(work.touched))
        ]

    # ---- what the server does ----------------------------------------------------------------

    def _watch(self, manager):
        push, enqueue, reserve = manager.push, manager._enqueue, manager.reserve
        acknowledge, process_failure = manager.acknowledge, manager._process_failure

        def pushed(job):
            push(job)
            self._accepted(job)

        def enqueued(job):
            enqueue(job)
            self._waits_since[job["jid"]] = self._truth.now()

        def reserved(wid, payload):
            text = reserve(wid, payload)
            job = json.loads(text)
            self._reserved_by[job["jid"]] = self._truth.actor.name
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
            died = len(manager.dead) > dead
            if job is not None and (job["retry"] == 0 or died):
                self.work_of(job).died = died
                self._is_over(jid)

        manager.push, manager._enqueue, manager.reserve = pushed, enqueued, reserved
        manager.acknowledge, manager._process_failure = acknowledged, failed

    def _accepted(self, job):
        jid, stamp = job["jid"], read_stamp(job)
        self._payloads[jid] = job
        actor = self._truth.actor
        if stamp is None:
            self._truth.broke("unstamped", f"{jid} was pushed without a stamp")
            return
        if actor.works_on is not None and read_stamp(actor.works_on).owner == stamp.owner:
            self._replaced.add(actor.works_on["jid"])
            self._check_copy(actor.works_on, job)
            self.work_of(actor.works_on).live.discard(actor.works_on["jid"])
        work = self._truth.works.setdefault(stamp.owner, Work(stamp.owner, stamp.key, stamp.until))
        if stamp.replaces is not None and actor.works_on is None:
            work.replaces, work.in_place = stamp.replaces, False
        if self._truth.locks.lease_is_over(stamp.owner):
            self._truth.locks.note_lapse(work)
        for other in self._truth.works.values():
            if other is not work and other.key == work.key and other.is_guarded:
                self._overlaps(other, work)
        work.accepted += 1
        work.live.add(jid)
        work.touched.add(actor.name)
        actor.owners.add(stamp.owner)
        self.asides.accepted(jid, actor)

    def _check_copy(self, job, copy):
        """A copy is the same work, with the retries that were left."""
        same = all(job.get(name) == copy.get(name) for name in ("jobtype", "args", "retry"))
        if not same or failures_before(job) != failures_before(copy):
            self._truth.broke("lost", f"the copy {copy['jid']} is another job than {job['jid']}")

    def _fetched(self, jid):
        work = self.work_of(self.job(jid))
        if work is None:
            return
        work.touched.add(self._truth.actor.name)
        work.unheld = True
        self.asides.fetched(jid, work)
        work.live.add(jid)  # again, where its worker has pushed a copy and died before its ACK

    def _overlaps(self, other, work):
        # What it was pushed in the place of steps aside; so does a late copy of what was replaced.
        if work.replaces == other.owner or work.replaced:
            return
        # The place that it was pushed for is another's by now: two replace one at once, or that one
        # was over, or had lost its lock, when a third was pushed.
        replaced = self._truth.works.get(work.replaces)
        if replaced is not None and (
            not replaced.is_guarded or replaced.lapsed or work.replaces == other.replaces
        ):
            return
        # The first of several copies to end frees the lock of all.
        if other.lapsed or (self._truth.may_be_twice(other) and other.ends):
            return
        # The copy of a job that is put back is no new work: it goes on without the lock it had not.
        had_none = work.lapsed or not work.in_place or (work.until == "start" and work.begun)
        if work.accepted and had_none:
            return
        if self._truth.unguarded & {other.owner, work.owner}:
            return
        # Its producer stood still, and its lease ran out, between its take and its PUSHB.
        if work.lapsed and self._truth.struck.stood_still(self._truth.actor.name):
            return
        self._truth.broke("two live", f"{work.owner} was accepted while {other.owner} lives")

    def _reported(self, jid):
        actor = self._truth.actor
        if actor.name != self._reserved_by[jid] and not self._truth.struck.stood_still(actor.name):
            self._truth.broke("stolen", f"{actor} has reported another worker's run of {jid}")

    def _acknowledged(self, jid):
        if not (self._executed[jid] or jid in self._replaced or jid in self._dropped):
            self.asides.steps_aside(jid, self.work_of(self.job(jid)))
        self._is_over(jid)

    def _is_over(self, jid):
        self._over.add(jid)
        work = self.work_of(self.job(jid))
        if work is None:
            return
        work.live.discard(jid)
        work.ends += self._executed[jid] > 0 or jid not in self._replaced
        _, since = self._running[jid].get(
            self._truth.actor and self._truth.actor.name, (None, None)
        )
        if since is None or self._truth.now() >= since + RESERVED:
            work.reported_late = True
        if since is None:
            work.must_be_told = False  # who had it is gone, and nobody will look again

    def work_of(self, job):
        """The work that a payload is a copy of; None without a stamp."""
        stamp = read_stamp(job)
        return None if stamp is None else self._truth.works[stamp.owner]
