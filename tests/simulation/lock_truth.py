"""What becomes of locks in the store."""

from __future__ import annotations

from faktory_unique.change import is_leased, owner_of
from faktory_unique.stamp import read_stamp
from faktory_unique.testing.fake import FakeStore
from tests.simulation.works import Sent


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

    @property
    def _is_fixed(self):
        """Whether nothing but its time frees a lock, or sets it anew."""
        return self._policy.get("until") == "expiry" or not self._policy.get("renew", True)

    @property
    def _outlives(self):
        """Whether a lock may outlive its job, by its policy."""
        return self._policy.get("on_death") == "keep" or self._policy.get("until") == "expiry"

    def lapsed(self, value):
        """A lock has run out."""
        self._run_out.add(owner_of(value))
        work = self._truth.works.get(owner_of(value))
        if work is None or not work.is_guarded:
            return
        self.note_lapse(work)
        if not self._may_have_lapsed(work):
            self._truth.broke("lapsed", f"the lock of {work.owner} ran out, and it lives")

    def note_lapse(self, work):
        """A job is live without its lock."""
        work.lapsed = True
        # Where its time is fixed it may be over while it runs, and nobody asks the store then.
        work.must_be_told = work.until == "success" and not self._is_fixed

    def lease_is_over(self, owner):
        """Whether the latest lock of this owner has run out."""
        return owner in self._run_out

    def changed(self, change, found):
        """A process has changed a lock."""
        if change.value is None and found is None:
            return
        actor = self._truth.actor
        owner = owner_of(change.value or found)
        if change.value is not None:
            self._run_out.discard(owner)
        if found is None and is_leased(change.value):
            actor.owners.add(owner)
        if found is not None and (owner_of(found) != owner or owner not in self.may_change(actor)):
            self._truth.broke("foreign", f"{actor} has changed the lock of {owner_of(found)}")
        if change.value is None:
            self._freed(found)
        else:
            self._set(change, owner, found)

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
        may_be = starts or gives_back or self._truth.may_be_twice(work)
        may_be = may_be or self._truth.struck.out_of_order
        if (work.live or elsewhere) and not may_be:
            self._truth.broke("freed", f"the lock of {owner} was freed, and it lives")

    def _set(self, change, owner, found):
        work, actor = self._truth.works.get(owner), self._truth.actor
        if work is None:
            if not (is_leased(change.value) and change.ttl <= self._policy["lease"]):
                self._truth.broke("no lease", f"the lock of {owner}, not pushed, was set: {change}")
            return
        if change.ttl > self._longest_ttl:
            self._truth.broke("too long", f"the lock of {owner} lives {change.ttl} s")
        # What is owed to the lock of a job that ended meanwhile may last longer, but not be taken.
        struck = self._truth.struck
        may_be = struck.out_of_order if found is None else struck.any_of(work.touched)
        over = not work.live and not self._outlives
        if over and not is_leased(change.value) and not may_be:
            self._truth.broke(
                "orphan", f"{actor} has set the lock of {owner}, which is over: {change}"
            )

    def may_change(self, actor):
        """Owners whose locks this process may change now."""
        if isinstance(actor, Sent):
            return actor.owners
        owed = {owner for _, owner in actor.unique._parts.kept._entries}
        if actor.works_on is not None:
            return {read_stamp(actor.works_on).owner, *owed}
        return {*actor.owners, *owed}

    def _may_have_lapsed(self, work):
        """Whether it has waited too long, or something struck who had to do with it."""
        return (
            self._may_lapse
            or self._is_fixed
            or self._truth.jobs.waits_longer(work, self._policy["ttl"])
            or self._truth.struck.any_of(work.touched)
        )

    def may_be_left(self, value):
        """Whether a lock whose job is over may stand until its time is out."""
        struck, work = self._truth.struck, self._truth.works.get(owner_of(value))
        return (
            struck.killed
            or struck.out_of_order
            or (is_leased(value) and struck.anybody)
            or self._outlives
            or (work is not None and (work.reported_late or work.unanswered))
        )


class Store(FakeStore):
    """The store that all processes share, and which the truth watches."""

    truth: LockTruth

    def _change(self, change):
        found = super()._change(change)
        if change.happened(found) and change.expected:
            self.truth.changed(change, found)
        return found

    def _lapse(self):
        before = dict(self._locks)
        super()._lapse()
        for key, (value, _) in before.items():
            if key not in self._locks:
                self.truth.lapsed(value)
