"""What becomes of locks in the store."""

from __future__ import annotations

from faktory_unique.locks.keys import is_side_key, run_key
from faktory_unique.locks.lifecycle import RUN_LEASE
from faktory_unique.locks.stamp import read_stamp
from faktory_unique.locks.transition import is_leased, owner_of, replaced_by
from faktory_unique.testing.fake import FakeStore
from tests.simulation.work import Sent


class LockTruth:
    """The locks of one world.

    Args:
        truth: of the world.
        policy: of all its jobs.
        longest_ttl: seconds that no lock may live longer.
        may_lapse: whether locks may run out by what the processes do.
    """

    def __init__(self, truth, policy, longest_ttl, may_lapse):
        self._truth = truth
        self._policy = policy
        self._longest_ttl = longest_ttl
        self._may_lapse = may_lapse
        self._run_out = set()
        self._owners = set()
        self._runners = {}

    @property
    def _is_fixed(self):
        """Whether nothing but its time frees a lock, or sets it anew."""
        return self._policy.get("until") == "expiry" or not self._policy.get("renew", True)

    def _outlives(self, work):
        """Whether a work's lock may outlive it, by its policy."""
        if self._policy.get("until") == "expiry":
            return True
        return work is not None and work.died and self._policy.get("on_death") == "keep"

    def has_had(self, owner):
        """Whether this owner has ever had a lock."""
        return owner in self._owners

    def lapsed(self, value):
        """A lock has run out."""
        self._run_out.add(owner_of(value))
        work = self._truth.works.get(owner_of(value))
        if work is None or not work.is_guarded:
            return
        self.note_lapse(work)
        if not self._may_have_lapsed(work, is_leased(value)):
            self._truth.broke("lapsed", f"the lock of {work.owner} ran out, and it lives")

    def note_lapse(self, work):
        """A job is live without its lock."""
        work.lapsed = True
        # Where its time is fixed it may be over while it runs, and nobody asks the store then.
        work.must_be_told = work.until == "success" and not self._is_fixed

    def lease_is_over(self, owner):
        """Whether the latest lock of this owner has run out."""
        return owner in self._run_out

    def changed(self, transition, found):
        """A process has changed a lock."""
        if transition.value is None and found is None:
            return
        actor, owner = self._truth.actor, transition.owner
        if transition.value is not None:
            self._owners.add(owner)
            self._run_out.discard(owner)
        if found is None and is_leased(transition.value):
            actor.owners.add(owner)
        self._check_whose(transition, found)
        if transition.value is not None:
            self._set(transition, owner, found)
        elif owner_of(found) == owner:
            self._freed(found)
        else:  # in the place of one that waits, a `start` job begins
            self._truth.works[owner].begun = self._truth.works[owner].begun or 1

    def _check_whose(self, transition, found):
        """A lock is changed for its owner, or for one that was pushed in his place."""
        if found is None:
            return
        actor, other = self._truth.actor, self._truth.works.get(owner_of(found))
        mine = owner_of(found) == transition.owner
        replaces = other is not None and other.owner == transition.replaces and other.replaced
        if not (mine or replaces) or transition.owner not in self.may_change(actor):
            self._truth.broke("foreign", f"{actor} has changed the lock of {owner_of(found)}")

    def buried(self, owner):
        """The store says that another was pushed in the place of this owner's job."""
        if owner in self._truth.works:
            self._truth.works[owner].replaced = True

    def has_no_place(self, transition, found):
        """Another has the place that this job was pushed for; or it is to step aside itself."""
        work = self._truth.works.get(transition.owner)
        aside = replaced_by(found) is not None and transition.unless_replaced == transition.owner
        has_it = transition.owner in {replaced_by(found), found}
        if work is not None and work.is_live and not (aside or has_it):
            self.note_lapse(work)

    def run_lock_changed(self, transition, found):
        """A run lock was taken, held or freed."""
        actor = self._truth.actor
        token = transition.value or found
        if found is None and transition.value is not None:
            self._runners[token] = actor.name
            if transition.ttl > RUN_LEASE:
                self._truth.broke(
                    "too long", f"the run lock {token} was taken for {transition.ttl} s"
                )
        elif token is not None and self._runners.get(token) != actor.name:
            self._truth.broke("foreign", f"{actor} has changed the run lock of {token}")

    def _freed(self, value):
        owner = owner_of(value)
        work = self._truth.works.get(owner)
        if work is None:
            return
        elsewhere = self._truth.jobs.runs_elsewhere(owner, self._truth.actor.name)
        # Of `start`, whoever has fetched it is about to begin it.
        starts = work.until == "start" and self._truth.actor.works_on is not None
        if starts:
            work.begun = work.begun or 1
        # Of a push whose first try ended unknown, and whose lease ran out: as it was before.
        gives_back = work.lapsed and is_leased(value) and self._truth.actor.works_on is None
        # The first of several copies to end frees the lock of all.
        twice = self._truth.may_be_twice(work) and work.ends
        stood_still = self._truth.struck.any_stood_still(work.touched)
        if (work.live or elsewhere) and not (starts or gives_back or twice or stood_still):
            self._truth.broke("freed", f"the lock of {owner} was freed, and it lives")
        if self._policy.get("on_death") == "keep" and work.died:
            self._truth.broke("freed", f"the lock of {owner} was freed, and was to be kept")

    def _set(self, transition, owner, found):
        work, actor = self._truth.works.get(owner), self._truth.actor
        if work is None:
            if not (is_leased(transition.value) and transition.ttl <= self._policy["lease"]):
                self._truth.broke(
                    "no lease", f"the lock of {owner}, not pushed, was set: {transition}"
                )
            return
        if transition.ttl > self._longest_ttl:
            self._truth.broke("too long", f"the lock of {owner} lives {transition.ttl} s")
        # What is owed to the lock of a job that ended meanwhile may last longer, but not be taken.
        work.in_place = True
        if transition.replaces is not None and found == transition.replaces:
            work.must_be_told = False  # it has its place again, or only now
        if found is None and not is_leased(transition.value) and transition.replaces is None:
            work.taken_anew = actor
        if actor.works_on is not None:
            work.unheld = work.unheld and is_leased(transition.value)
        struck = self._truth.struck
        if found is not None:
            may_be = struck.any_of(work.touched)
        else:  # the step that takes a lapsed lock anew, which may be late
            late = work.lapsed and isinstance(actor, Sent)
            may_be = late or struck.any_stood_still(work.touched)
        over = not work.live and not self._outlives(work)
        if over and not is_leased(transition.value) and not may_be:
            self._truth.broke(
                "orphan", f"{actor} has set the lock of {owner}, which is over: {transition}"
            )

    def may_change(self, actor):
        """Owners whose locks this process may change now."""
        if isinstance(actor, Sent):
            return actor.owners
        owed = {owner for _, owner in actor.unique._context.deferred._writes}
        if actor.works_on is not None:
            return {read_stamp(actor.works_on).owner, *owed}
        return {*actor.owners, *owed}

    def _may_have_lapsed(self, work, leased):
        """Whether it has waited too long, or could not be confirmed or held."""
        struck = self._truth.struck
        return (
            self._may_lapse
            or self._is_fixed
            or self._truth.jobs.waits_longer(work, self._policy["ttl"])
            or (leased and struck.any_of(work.touched))
            or (work.unheld and struck.any_of(work.touched))
            or struck.any_stood_still(work.touched)
        )

    def may_be_left(self, key, value):
        """Whether a lock whose job is over may stand until its time is out."""
        if key == run_key(key[1:].partition("}")[0]):
            return self._truth.struck.any_of([self._runners[value]])
        if is_side_key(key):  # a tombstone
            return True
        struck, work = self._truth.struck, self._truth.works.get(owner_of(value))
        if self._outlives(work) or (is_leased(value) and struck.anybody):
            return True
        return work is not None and (
            work.reported_late
            or work.unanswered
            or (work.lapsed and isinstance(work.taken_anew, Sent))
            or struck.killed(work.touched)
            or struck.any_stood_still(work.touched)
        )


class Store(FakeStore):
    """The store that all processes share, and which the truth watches."""

    truth: LockTruth

    def expiries(self, now):
        """When the locks run out that are there."""
        return [expiry for _, expiry in self._locks.values() if expiry > now]

    def _apply(self, transition):
        before = self._locks.get(transition.key)
        found = super()._apply(transition)
        made = transition.applied(found) or self._locks.get(transition.key) != before
        if is_side_key(transition.key):
            if made:
                self.truth.run_lock_changed(transition, found)
        elif made and not transition.is_read_only:
            self.truth.changed(transition, found)
        elif transition.replaces is not None:
            self.truth.has_no_place(transition, found)
        return found

    def _write_tombstone(self, transition, replaced, lock):
        super()._write_tombstone(transition, replaced, lock)
        self.truth.buried(replaced)

    def _lapse(self):
        before = dict(self._locks)
        super()._lapse()
        for key, (value, _) in before.items():
            if key not in self._locks and not is_side_key(key):
                self.truth.lapsed(value)
