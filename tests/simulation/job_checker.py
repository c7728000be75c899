"""Checks of jobs on the server: none is lost, run twice or run beside an equal job."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import contextmanager

from faktory_unique.locks.server_rules import failures_before
from faktory_unique.locks.stamp import read_stamp
from tests.simulation.superseded_checker import SupersededChecker
from tests.simulation.work import RESERVE_SECONDS, Work


class JobChecker:
    """The checks of all jobs of one world.

    Args:
        checker: the checker of the world.
        manager: the server's job manager, whose methods are wrapped.

    Attributes:
        superseded: checks of the jobs that are dropped because they were replaced.
    """

    def __init__(self, checker, manager):
        self._checker = checker
        self._payloads = {}
        self._executed = Counter()
        self._started = set()
        self._requeued = set()
        self._dropped = set()
        self._ended = set()
        self._running = defaultdict(dict)
        self._queued_since = {}
        self._reserved_by = {}
        self._handlers = {}
        self.superseded = SupersededChecker(checker)
        self._wrap_methods(manager)

    # ---- called by workers -------------------------------------------------------------------

    @contextmanager
    def working(self, process, job):
        """Record that a process works on a job during this context."""
        self._running[job["jid"]][process.name] = process, self._checker.now()
        process.current_job = job
        try:
            yield
        finally:
            process.current_job = None
            del self._running[job["jid"]][process.name]

    @contextmanager
    def handling(self, process, jid):
        """Record that a handler runs during this context. Yield the number of this attempt."""
        work = self.work_of(self.job(jid))
        if read_stamp(self.job(jid)).exclusive:
            self._check_exclusive(process, work)
        self._handlers[process.name] = process, work, self._checker.now()
        try:
            yield self._start(jid, work)
        finally:
            del self._handlers[process.name]

    def _check_exclusive(self, process, work):
        """Check that no other handler of an exclusive job of the same key may still run."""
        for other, other_work, since in self._handlers.values():
            runs = not other.dead and self._checker.now() < since + RESERVE_SECONDS
            stopped = self._checker.fault_log.any_stopped([process.name, other.name])
            if other_work.key == work.key and runs and not stopped:
                self._checker.add_breach(
                    "two at once", f"{work.owner} runs, and so does {other_work.owner}"
                )

    def _start(self, jid, work):
        work.starts += 1
        self._started.add(jid)
        self.superseded.on_start(jid, work)
        # With until="start", a retry usually has no lock: no process can know that it lapsed.
        first = jid == work.owner and not self.job(jid).get("failure")
        if work.lapsed and first and work.until == "start":
            work.lapse_must_be_reported = True
        return work.starts

    def on_success(self, jid):
        """Record that a handler has succeeded."""
        self._executed[jid] += 1
        self.work_of(self.job(jid)).done = True

    def on_failure(self, jid):
        """Record that a handler has failed. The server decides what happens to the job."""
        self.work_of(self.job(jid)).failed = True

    def on_reply(self, process, received):
        """Record a command of a process that has a job, and whether its reply arrived."""
        if process.current_job is not None:
            self.work_of(process.current_job).reply_lost = not received

    def on_middleware_drop(self, jid):
        """Record that a middleware drops a job; nothing asks for its lock then."""
        self._dropped.add(jid)
        work = self.work_of(self.job(jid))
        work.done, work.lapse_must_be_reported = True, False

    def job(self, jid):
        """Return a job's payload as it was last fetched."""
        return self._payloads[jid]

    def jids(self):
        """Return the jids of all jobs that were accepted."""
        return set(self._payloads)

    def runs_elsewhere(self, owner, name):
        """Return whether another worker runs a copy and may trust its reservation.

        Only copies that have ended on the server count. All others count as live anyway.
        """
        return any(
            runner != name and not process.dead and self._checker.now() < since + RESERVE_SECONDS
            for jid in self._ended
            for runner, (process, since) in self._running[jid].items()
            if read_stamp(self.job(jid)).owner == owner
        )

    def queued_longer(self, work, seconds):
        """Return whether a copy has waited in its queue for this number of seconds."""
        latest = self._checker.now() - seconds
        return any(self._queued_since.get(jid, latest + 1) <= latest for jid in work.live)

    def unended_jids(self):
        """Return the jids of accepted jobs that no report and no expiry has ended."""
        return [jid for jid in self._payloads if jid not in self._ended]

    def unfinished_works(self):
        """Return works that were started and never done, though no fault explains it."""
        fault_log = self._checker.fault_log
        lost_at_fetch = {  # lost with the reply to a FETCH
            self.work_of(self.job(jid)).owner
            for jid in self._ended - self._started - self._requeued
        }
        return [
            work
            for work in self._checker.works.values()
            if work.starts and not (work.done or work.failed or work.owner in lost_at_fetch)
            if not (
                fault_log.any_killed(work.processes_involved)
                or fault_log.any_delayed(work.processes_involved)
            )
        ]

    # ---- called by the server -----------------------------------------------------------------

    def _wrap_methods(self, manager):
        push, enqueue, reserve = manager.push, manager._enqueue, manager.reserve
        acknowledge, process_failure = manager.acknowledge, manager._process_failure

        def pushed(job):
            push(job)
            self._on_accepted(job)

        def enqueued(job):
            enqueue(job)
            self._queued_since[job["jid"]] = self._checker.now()

        def reserved(wid, payload):
            text = reserve(wid, payload)
            job = json.loads(text)
            self._reserved_by[job["jid"]] = self._checker.actor.name
            self._queued_since.pop(job["jid"], None)
            self._payloads[job["jid"]] = job
            self._on_fetched(job["jid"])
            return text

        def acknowledged(jid):
            was_there = jid in manager.reservations
            acknowledge(jid)
            if was_there:
                self._check_reporter(jid)
                self._on_ack(jid)

        def failed(jid, failure):
            job = manager.reservations[jid].job if jid in manager.reservations else None
            dead = len(manager.dead)
            process_failure(jid, failure)
            if job is not None and failure["errtype"] != "ReservationExpired":
                self._check_reporter(jid)
            died = len(manager.dead) > dead
            if job is not None and (job["retry"] == 0 or died):
                self.work_of(job).died = died
                self._on_end(jid)

        manager.push, manager._enqueue, manager.reserve = pushed, enqueued, reserved
        manager.acknowledge, manager._process_failure = acknowledged, failed

    def _on_accepted(self, job):
        jid, stamp = job["jid"], read_stamp(job)
        self._payloads[jid] = job
        actor = self._checker.actor
        if stamp is None:
            self._checker.add_breach("unstamped", f"{jid} was pushed without a stamp")
            return
        if actor.current_job is not None and read_stamp(actor.current_job).owner == stamp.owner:
            self._requeued.add(actor.current_job["jid"])
            self._check_copy(actor.current_job, job)
            self.work_of(actor.current_job).live.discard(actor.current_job["jid"])
        work = self._checker.works.setdefault(
            stamp.owner, Work(stamp.owner, stamp.key, stamp.until)
        )
        if stamp.replaces is not None and actor.current_job is None:
            work.replaces, work.has_lock = stamp.replaces, False
        if self._checker.locks.has_lapsed(stamp.owner):
            self._checker.locks.record_lapse(work)
        for other in self._checker.works.values():
            if other is not work and other.key == work.key and other.is_guarded:
                self._check_overlap(other, work)
        work.accepted += 1
        work.live.add(jid)
        work.processes_involved.add(actor.name)
        actor.owners.add(stamp.owner)
        self.superseded.on_accepted(jid, actor)

    def _check_copy(self, job, copy):
        """Check that a copy is the same work with the same number of retries left."""
        same = all(job.get(name) == copy.get(name) for name in ("jobtype", "args", "retry"))
        if not same or failures_before(job) != failures_before(copy):
            self._checker.add_breach(
                "lost", f"the copy {copy['jid']} is another job than {job['jid']}"
            )

    def _on_fetched(self, jid):
        work = self.work_of(self.job(jid))
        if work is None:
            return
        work.processes_involved.add(self._checker.actor.name)
        work.hold_pending = True
        self.superseded.on_fetched(jid, work)
        work.live.add(jid)  # again, if its worker pushed a copy and died before its ACK

    def _check_overlap(self, other, work):
        # A replaced job will be dropped, and so will a late copy of a replaced job.
        if work.replaces == other.owner or work.replaced:
            return
        # The lock of the job to replace has changed meanwhile: two pushes replace it at once, or it
        # had ended or lapsed when a third was pushed.
        replaced = self._checker.works.get(work.replaces)
        if replaced is not None and (
            not replaced.is_guarded or replaced.lapsed or work.replaces == other.replaces
        ):
            return
        # The first of several copies to end releases the lock of all.
        if other.lapsed or (self._checker.may_have_two_copies(other) and other.ends):
            return
        # A requeued copy is no new work: it continues without the lock that it did not have.
        had_no_lock = work.lapsed or not work.has_lock or (work.until == "start" and work.starts)
        if work.accepted and had_no_lock:
            return
        if self._checker.unguarded_owners & {other.owner, work.owner}:
            return
        # Its producer was stopped between acquire and PUSHB, and its lease ended.
        if work.lapsed and self._checker.fault_log.was_stopped(self._checker.actor.name):
            return
        self._checker.add_breach("two live", f"{work.owner} was accepted while {other.owner} lives")

    def _check_reporter(self, jid):
        actor = self._checker.actor
        if actor.name != self._reserved_by[jid] and not self._checker.fault_log.was_stopped(
            actor.name
        ):
            self._checker.add_breach(
                "stolen", f"{actor} has reported another worker's run of {jid}"
            )

    def _on_ack(self, jid):
        if not (self._executed[jid] or jid in self._requeued or jid in self._dropped):
            self.superseded.on_dropped(jid, self.work_of(self.job(jid)))
        self._on_end(jid)

    def _on_end(self, jid):
        self._ended.add(jid)
        work = self.work_of(self.job(jid))
        if work is None:
            return
        work.live.discard(jid)
        work.ends += self._executed[jid] > 0 or jid not in self._requeued
        _, since = self._running[jid].get(
            self._checker.actor and self._checker.actor.name, (None, None)
        )
        if since is None or self._checker.now() >= since + RESERVE_SECONDS:
            work.reported_late = True
        if since is None:
            # The worker that had it is gone, and no other process will look at its lock.
            work.lapse_must_be_reported = False

    def work_of(self, job):
        """Return the work that a payload is a copy of; None without a stamp."""
        stamp = read_stamp(job)
        return None if stamp is None else self._checker.works[stamp.owner]
