"""Checks of locks in the store: changed by their owners only, and never orphaned or too long."""

from __future__ import annotations

from faktory_unique.locks.keys import is_side_key, run_key
from faktory_unique.locks.lifecycle import RUN_LEASE
from faktory_unique.locks.stamp import read_stamp
from faktory_unique.locks.transition import is_leased, owner_of, replaced_by
from faktory_unique.testing.fake import FakeStore
from tests.simulation.work import LateSender


class LockChecker:
    """The checks of all locks of one world.

    Args:
        checker: the checker of the world.
        policy: the policy of all jobs, as a dict.
        longest_ttl: the longest TTL in seconds that a lock may have.
        may_lapse: whether locks may lapse because of what the processes do.
    """

    def __init__(self, checker, policy, longest_ttl, may_lapse):
        self._checker = checker
        self._policy = policy
        self._longest_ttl = longest_ttl
        self._may_lapse = may_lapse
        self._lapsed_owners = set()
        self._lock_owners = set()
        self._run_lock_holders = {}

    @property
    def _has_fixed_ttl(self):
        """Return whether only the TTL of its push ends a lock, and nothing renews it."""
        return self._policy.get("until") == "expiry" or not self._policy.get("renew", True)

    def _may_outlive(self, work):
        """Return whether the policy lets a lock remain after its work has ended."""
        if self._policy.get("until") == "expiry":
            return True
        return work is not None and work.died and self._policy.get("on_death") == "keep"

    def ever_had_lock(self, owner):
        """Return whether this owner ever had a lock."""
        return owner in self._lock_owners

    def on_lapsed(self, value):
        """Check that a lock was allowed to lapse."""
        self._lapsed_owners.add(owner_of(value))
        work = self._checker.works.get(owner_of(value))
        if work is None or not work.is_guarded:
            return
        self.record_lapse(work)
        if not self._lapse_is_explained(work, is_leased(value)):
            self._checker.add_breach(
                "lapsed", f"the lock of {work.owner} lapsed while its job was live"
            )

    def record_lapse(self, work):
        """Record that a live job has no lock."""
        work.lapsed = True
        # A fixed TTL may end while the job runs, and then no process asks the store.
        work.lapse_must_be_reported = work.until == "success" and not self._has_fixed_ttl

    def has_lapsed(self, owner):
        """Return whether the latest lock of this owner has lapsed."""
        return owner in self._lapsed_owners

    def on_changed(self, transition, found):
        """Check a change that a process has made to a lock."""
        if transition.value is None and found is None:
            return
        actor, owner = self._checker.actor, transition.owner
        if transition.value is not None:
            self._lock_owners.add(owner)
            self._lapsed_owners.discard(owner)
        if found is None and is_leased(transition.value):
            actor.owners.add(owner)
        self._check_owner(transition, found)
        if transition.value is not None:
            self._check_write(transition, owner, found)
        elif owner_of(found) == owner:
            self._check_release(found)
        else:  # a `start` job begins and releases the lock that it replaces
            self._checker.works[owner].starts = self._checker.works[owner].starts or 1

    def _check_owner(self, transition, found):
        """Check that a lock was changed for its owner, or for a job that replaces the owner's."""
        if found is None:
            return
        actor, other = self._checker.actor, self._checker.works.get(owner_of(found))
        is_own = owner_of(found) == transition.owner
        replaces = other is not None and other.owner == transition.replaces and other.replaced
        if not (is_own or replaces) or transition.owner not in self.changeable_owners(actor):
            self._checker.add_breach(
                "foreign", f"{actor} has changed the lock of {owner_of(found)}"
            )

    def on_replaced(self, owner):
        """Record that another job has replaced this owner's job."""
        if owner in self._checker.works:
            self._checker.works[owner].replaced = True

    def on_replace_skipped(self, transition, found):
        """Record that a job could not replace another's lock, unless it is superseded itself."""
        work = self._checker.works.get(transition.owner)
        superseded = (
            replaced_by(found) is not None and transition.unless_replaced == transition.owner
        )
        has_lock = transition.owner in {replaced_by(found), found}
        if work is not None and work.is_live and not (superseded or has_lock):
            self.record_lapse(work)

    def on_run_lock_changed(self, transition, found):
        """Check that a run lock was acquired, held or released by the process that has it."""
        actor = self._checker.actor
        token = transition.value or found
        if found is None and transition.value is not None:
            self._run_lock_holders[token] = actor.name
            if transition.ttl > RUN_LEASE:
                self._checker.add_breach(
                    "too long", f"the run lock {token} was acquired for {transition.ttl} s"
                )
        elif token is not None and self._run_lock_holders.get(token) != actor.name:
            self._checker.add_breach("foreign", f"{actor} has changed the run lock of {token}")

    def _check_release(self, value):
        owner = owner_of(value)
        work = self._checker.works.get(owner)
        if work is None:
            return
        runs_elsewhere_now = self._checker.jobs.runs_elsewhere(owner, self._checker.actor.name)
        # With until="start", the process that fetched the job is about to start it.
        starts = work.until == "start" and self._checker.actor.current_job is not None
        if starts:
            work.starts = work.starts or 1
        # An unknown push whose lease ended, tried again and rolled back: as it was before.
        rolls_back = work.lapsed and is_leased(value) and self._checker.actor.current_job is None
        # The first of several copies to end releases the lock of all.
        has_copies = self._checker.may_have_two_copies(work) and work.ends
        was_stopped = self._checker.fault_log.any_stopped(work.processes_involved)
        if (work.live or runs_elsewhere_now) and not (
            starts or rolls_back or has_copies or was_stopped
        ):
            self._checker.add_breach(
                "released", f"the lock of {owner} was released while its job was live"
            )
        if self._policy.get("on_death") == "keep" and work.died:
            self._checker.add_breach(
                "released", f"the lock of {owner} was released despite on_death=keep"
            )

    def _check_write(self, transition, owner, found):
        work, actor = self._checker.works.get(owner), self._checker.actor
        if work is None:
            if not (is_leased(transition.value) and transition.ttl <= self._policy["lease"]):
                self._checker.add_breach(
                    "no lease", f"the lock of {owner}, which was not pushed, was set: {transition}"
                )
            return
        if transition.ttl > self._longest_ttl:
            self._checker.add_breach("too long", f"the lock of {owner} lasts {transition.ttl} s")
        # A deferred write may extend a lock after its job has ended, but may not acquire one.
        work.has_lock = True
        if transition.replaces is not None and found == transition.replaces:
            # It has its lock now, whether again or for the first time.
            work.lapse_must_be_reported = False
        if found is None and not is_leased(transition.value) and transition.replaces is None:
            work.reacquired_by = actor
        if actor.current_job is not None:
            work.hold_pending = work.hold_pending and is_leased(transition.value)
        fault_log = self._checker.fault_log
        if found is not None:
            excused = fault_log.hit_any(work.processes_involved)
        else:  # the step that reacquires a lapsed lock, which may come late
            late = work.lapsed and isinstance(actor, LateSender)
            excused = late or fault_log.any_stopped(work.processes_involved)
        should_be_gone = not work.live and not self._may_outlive(work)
        if should_be_gone and not is_leased(transition.value) and not excused:
            self._checker.add_breach(
                "orphan", f"{actor} has set the lock of {owner}, whose job is over: {transition}"
            )

    def changeable_owners(self, actor):
        """Return the owners whose locks this process may change now."""
        if isinstance(actor, LateSender):
            return actor.owners
        deferred = {owner for _, owner in actor.unique._context.deferred._writes}
        if actor.current_job is not None:
            return {read_stamp(actor.current_job).owner, *deferred}
        return {*actor.owners, *deferred}

    def _lapse_is_explained(self, work, leased):
        """Return whether the job has waited too long, or faults prevented its confirm or hold."""
        fault_log = self._checker.fault_log
        return (
            self._may_lapse
            or self._has_fixed_ttl
            or self._checker.jobs.queued_longer(work, self._policy["ttl"])
            or (leased and fault_log.hit_any(work.processes_involved))
            or (work.hold_pending and fault_log.hit_any(work.processes_involved))
            or fault_log.any_stopped(work.processes_involved)
        )

    def may_remain(self, key, value):
        """Return whether a lock may remain until its TTL ends although its job is over."""
        if key == run_key(key[1:].partition("}")[0]):
            return self._checker.fault_log.hit_any([self._run_lock_holders[value]])
        if is_side_key(key):  # a tombstone
            return True
        fault_log, work = self._checker.fault_log, self._checker.works.get(owner_of(value))
        if self._may_outlive(work) or (is_leased(value) and fault_log.any_fault):
            return True
        return work is not None and (
            work.reported_late
            or work.reply_lost
            or (work.lapsed and isinstance(work.reacquired_by, LateSender))
            or fault_log.any_killed(work.processes_involved)
            or fault_log.any_stopped(work.processes_involved)
        )


class Store(FakeStore):
    """The store that all processes share, with its changes reported to the checker."""

    checker: LockChecker

    def expiries(self, now):
        """Return the times at which the present locks expire."""
        return [expiry for _, expiry in self._locks.values() if expiry > now]

    def _apply(self, transition):
        before = self._locks.get(transition.key)
        found = super()._apply(transition)
        applied = transition.applied(found) or self._locks.get(transition.key) != before
        if is_side_key(transition.key):
            if applied:
                self.checker.on_run_lock_changed(transition, found)
        elif applied and not transition.is_read_only:
            self.checker.on_changed(transition, found)
        elif transition.replaces is not None:
            self.checker.on_replace_skipped(transition, found)
        return found

    def _write_tombstone(self, transition, replaced, lock):
        super()._write_tombstone(transition, replaced, lock)
        self.checker.on_replaced(replaced)

    def _delete_lapsed(self):
        before = dict(self._locks)
        super()._delete_lapsed()
        for key, (value, _) in before.items():
            if key not in self._locks and not is_side_key(key):
                self.checker.on_lapsed(value)
