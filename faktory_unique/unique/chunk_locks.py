"""The locks of one chunk of a push: taken before PUSHB, and settled by what Faktory answered."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.events import EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.transition import is_leased, leased, owner_of, successor_of
from faktory_unique.results import PushResult, PushStatus

from .lock_io import run_or_keep, run_takes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faktory_unique.locks.transition import Change

    from .context import Parts
    from .lock_request import Claim

Results = dict[int, PushResult]

# The share of a lease after which a lock that waits for another chunk is leased anew, or settled at
# once. What is left covers a PUSHB that takes half a lease, a Client's default time-out.
_OLD = 0.25

# Of any other status Faktory has said that the job is not there, or nobody has told it of one.
_MAY_BE_THERE = {PushStatus.PUSHED, PushStatus.UNKNOWN}


class ChunkLocks:
    """The locks of a chunk's unique jobs. `close` it, whatever came of it.

    Args:
        parts: those of `Unique`.
        claims: the claims of the chunk's unique jobs, by their place in the batch.

    Attributes:
        going: the claims whose jobs are to be pushed, once the locks are taken.
    """

    def __init__(self, parts: Parts, claims: Mapping[int, Claim]) -> None:
        self._parts = parts
        self._claims = claims
        self.going: dict[int, Claim] = {}
        self._begun: list[str] = []
        self._since = parts.clock()

    def take(self) -> Results:
        """Takes the locks.

        Returns:
            The results of the duplicates.

        Raises:
            StoreError: they could not be taken; those that were have been given back.
        """
        results: Results = {}
        claims: dict[int, Claim] = {}
        # Noted first, so that `close` ends them even where an interrupt comes amid their begin.
        self._begun = [claim.submitted_jid for claim in self._claims.values()]
        begun = self._parts.pushes.begin(self._begun, self)
        for i, claim in self._claims.items():
            if claim.submitted_jid not in begun:
                # A second thread with the same Job must not take the lease for its own.
                results |= self._meet(i, leased(claim.submitted_jid))
            elif claim.pushed_as is PushStatus.OBSERVED:
                self._go(i)
            else:
                claims[i] = claim
        try:
            found = run_takes(self._parts, claims)
        except StoreError as exc:
            if not all(claim.goes_without for claim in claims.values()):
                self.give_back()
                raise
            self._go_unguarded(claims, exc)
            return results
        self._parts.kept.retry()  # the store has just answered
        for i, value in found.items():
            if value is None or value == leased(claims[i].owner):
                self._go(i)
                self._tell(claims[i], EventName.ACQUIRED)
            else:
                results |= self._meet(i, value)
        return results

    @property
    def are_old(self) -> bool:
        """Whether so much of a lease is over that what comes next could outlast it."""
        age = self._parts.clock() - self._since
        return any(age >= _OLD * c.policy.lease for c in self.going.values() if c.is_guarded)

    def renew(self) -> Results:
        """Leases the locks anew: another chunk took long, and this one is still to be sent.

        Returns:
            The results of jobs whose lock another has taken meanwhile, their leases being over.

        Raises:
            StoreError: they could not be leased anew; they are to be given back.
        """
        since = self._parts.clock()
        claims = {i: claim for i, claim in self.going.items() if claim.is_guarded}
        renewals = [lifecycle.renew(c.key, c.owner, c.policy.lease) for c in claims.values()]
        try:
            found = self._parts.store.run(renewals)
        except StoreError:
            if not all(claim.goes_without for claim in claims.values()):
                raise
            return {}  # they go out on what is left of their leases; the confirm tells
        self._since = since
        results: Results = {}
        for (i, claim), value in zip(claims.items(), found, strict=True):
            if value is None:
                claim.took = True
            elif value != leased(claim.owner):
                del self.going[i]
                results |= self._meet(i, value)
        return results

    def give_back(self) -> None:
        """Frees the locks that this push has taken: nothing was pushed."""
        claims = [claim for claim in self._claims.values() if claim.took]
        changes = [(claim, lifecycle.give_back(claim.key, claim.owner)) for claim in claims]
        run_or_keep(self._parts, changes, self._since)

    def leave(self) -> None:
        """Leaves the locks to their leases, after an error that may have come after the send."""
        for claim in self.going.values():
            self._parts.pushes.ended_unknown(claim.submitted_jid, claim.owner)

    def settle(self, results: Mapping[int, PushResult]) -> Results:
        """Confirms the locks of pushed jobs, gives back those of jobs that were not.

        Returns:
            The results of whose lock there is more to say.
        """
        told: Results = {}
        pushed: dict[int, Claim] = {}
        changes: list[tuple[Claim, Change]] = []
        for i, claim in self.going.items():
            status = results[i].status
            if status is PushStatus.PUSHED:
                self._parts.pushes.arrived(claim.submitted_jid)
            if status is PushStatus.PUSHED and claim.pushed_as is PushStatus.PUSHED:
                pushed[i] = claim
                changes.append((claim, claim.confirm()))
            else:
                told[i] = self._told(claim, results[i])
        for i, claim in self.going.items():
            if claim.took and results[i].status not in _MAY_BE_THERE:
                changes.append((claim, lifecycle.give_back(claim.key, claim.owner)))
        found = run_or_keep(self._parts, changes, self._since)
        elapsed = self._parts.clock() - self._since
        for n, (i, claim) in enumerate(pushed.items()):
            result = results[i]
            if claim.replaces is not None:
                result = result._replace(replaced=claim.replaces)
            told[i] = (
                self._unconfirmed(claim, result)
                if found is None
                else self._confirmed(claim, result, found[n], elapsed)
            )
        return told

    def close(self) -> None:
        """The push is over: another push of the same jobs is a push of its own."""
        self._parts.pushes.end(self._begun, self)
        self._begun = []

    def _told(self, claim: Claim, result: PushResult) -> PushResult:
        """The result of a job that has no lock to be confirmed."""
        if result.status is PushStatus.PUSHED:
            return result._replace(status=claim.pushed_as, confirmed=False, error=claim.why)
        if result.status is PushStatus.UNKNOWN:
            self._parts.pushes.ended_unknown(claim.submitted_jid, claim.owner)
            self._tell(claim, EventName.PUSH_UNKNOWN)
            return _on_lease(result, claim)
        if result.status is PushStatus.DUPLICATE:
            self._tell(claim, EventName.DUPLICATE, "by the server's own account")
            return claim.duplicate(result.jid, confirmed=True)
        return result

    def _confirmed(
        self, claim: Claim, result: PushResult, found: str | None, elapsed: float
    ) -> PushResult:
        """The result of a job whose lock was to be confirmed."""
        amiss = claim.amiss(found, elapsed)
        if not amiss:
            in_place = f"in the place of {claim.replaces}" if claim.replaces else ""
            self._tell(claim, EventName.CONFIRMED, in_place)
            return result
        self._tell(claim, EventName.LAPSED, amiss)
        # Where a third has replaced him, it is for the third that he steps aside.
        replaced = claim.replaces if successor_of(found) is None else None
        return result._replace(confirmed=False, replaced=replaced)

    def _unconfirmed(self, claim: Claim, result: PushResult) -> PushResult:
        """The result of a job whose lock is to be confirmed when the store is back."""
        if claim.replaces is not None:  # there is no lease to wait for
            return result._replace(confirmed=False)
        return _on_lease(result, claim)

    def _go_unguarded(self, claims: Mapping[int, Claim], exc: StoreError) -> None:
        """Lets the jobs go out without a lock where they have none."""
        for i, claim in claims.items():
            self._go(i)
            if not claim.took:
                self._without_a_lock(claim, PushStatus.UNGUARDED, str(exc))

    def _go(self, i: int) -> None:
        """Has a job go out; under a new jid, where its own may have been sent by this process."""
        claim = self.going[i] = self._claims[i]
        if self._parts.pushes.was_unknown(claim.submitted_jid):
            claim.jid = uuid.uuid4().hex

    def _meet(self, i: int, value: str) -> Results:
        """Another job has the key of this one: the result of a duplicate, none where it goes out.

        A lease is not replaced: whether its job will be there nobody knows.
        """
        claim, owner = self._claims[i], owner_of(value)
        itself = owner in {claim.owner, claim.submitted_jid}
        if not claim.policy.enforce:
            if itself:  # its jid has been sent, or is being
                claim.jid = uuid.uuid4().hex
            self._go(i)
            self._without_a_lock(claim, PushStatus.OBSERVED, f"{owner} has it")
        elif not claim.is_replaceable or itself:
            return {i: self._duplicate(claim, value)}
        elif is_leased(value):
            self._go(i)
            told = f"{owner} has it, and cannot be replaced before it is confirmed"
            self._without_a_lock(claim, PushStatus.UNGUARDED, told)
        else:
            claim.replaces = owner
            self._go(i)
        return {}

    def _without_a_lock(self, claim: Claim, pushed_as: PushStatus, why: str) -> None:
        claim.pushed_as, claim.why = pushed_as, why
        self._tell(claim, EventName(pushed_as), why)

    def _duplicate(self, claim: Claim, value: str) -> PushResult:
        self._tell(claim, EventName.DUPLICATE, f"{owner_of(value)} has it")
        on_lease = is_leased(value)
        retry_after = claim.policy.lease if on_lease else None
        return claim.duplicate(owner_of(value), confirmed=not on_lease, retry_after=retry_after)

    def _tell(self, claim: Claim, name: EventName, told: str = "") -> None:
        claim.tell(self._parts.hooks, name, told)


def _on_lease(result: PushResult, claim: Claim) -> PushResult:
    return result._replace(confirmed=False, retry_after=claim.policy.lease)
