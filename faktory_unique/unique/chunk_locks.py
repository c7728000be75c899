"""The locks of one chunk of a push: taken before PUSHB, and settled by what Faktory answered."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.events import EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.transition import is_leased, leased, owner_of, replaced_by
from faktory_unique.results import PushResult, PushStatus

from .lock_io import acquire_locks, apply_or_defer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faktory_unique.locks.transition import Transition

    from .context import UniqueContext
    from .lock_request import LockRequest

Results = dict[int, PushResult]

# The share of a lease after which a lock that waits for another chunk is leased anew, or settled at
# once. What is left covers a PUSHB that takes half a lease, a Client's default time-out.
_OLD = 0.25

# Of any other status Faktory has said that the job is not there, or nobody has told it of one.
_MAY_BE_THERE = {PushStatus.PUSHED, PushStatus.UNKNOWN}


class ChunkLocks:
    """The locks of a chunk's unique jobs. `close` it, whatever came of it.

    Args:
        context: those of `Unique`.
        requests: the claims of the chunk's unique jobs, by their place in the batch.

    Attributes:
        going: the claims whose jobs are to be pushed, once the locks are taken.
    """

    def __init__(self, context: UniqueContext, requests: Mapping[int, LockRequest]) -> None:
        self._context = context
        self._requests = requests
        self.accepted: dict[int, LockRequest] = {}
        self._begun: list[str] = []
        self._since = context.clock()

    def take(self) -> Results:
        """Takes the locks.

        Returns:
            The results of the duplicates.

        Raises:
            StoreError: they could not be taken; those that were have been given back.
        """
        results: Results = {}
        requests: dict[int, LockRequest] = {}
        # Noted first, so that `close` ends them even where an interrupt comes amid their begin.
        self._begun = [request.submitted_jid for request in self._requests.values()]
        begun = self._context.pushes.begin(self._begun, self)
        for i, request in self._requests.items():
            if request.submitted_jid not in begun:
                # A second thread with the same Job must not take the lease for its own.
                results |= self._meet(i, leased(request.submitted_jid))
            elif request.status_if_pushed is PushStatus.OBSERVED:
                self._go(i)
            else:
                requests[i] = request
        try:
            found = acquire_locks(self._context, requests)
        except StoreError as exc:
            if not all(request.may_push_unlocked for request in requests.values()):
                self.give_back()
                raise
            self._go_unguarded(requests, exc)
            return results
        self._context.deferred.flush()  # the store has just answered
        for i, value in found.items():
            if value is None or value == leased(requests[i].owner):
                self._go(i)
                self._tell(requests[i], EventName.ACQUIRED)
            else:
                results |= self._meet(i, value)
        return results

    @property
    def are_old(self) -> bool:
        """Whether so much of a lease is over that what comes next could outlast it."""
        age = self._context.clock() - self._since
        return any(age >= _OLD * c.policy.lease for c in self.accepted.values() if c.is_guarded)

    def renew(self) -> Results:
        """Leases the locks anew: another chunk took long, and this one is still to be sent.

        Returns:
            The results of jobs whose lock another has taken meanwhile, their leases being over.

        Raises:
            StoreError: they could not be leased anew; they are to be given back.
        """
        since = self._context.clock()
        requests = {i: request for i, request in self.accepted.items() if request.is_guarded}
        renewals = [
            lifecycle.renew_transition(c.key, c.owner, c.policy.lease) for c in requests.values()
        ]
        try:
            found = self._context.store.run(renewals)
        except StoreError:
            if not all(request.may_push_unlocked for request in requests.values()):
                raise
            return {}  # they go out on what is left of their leases; the confirm tells
        self._since = since
        results: Results = {}
        for (i, request), value in zip(requests.items(), found, strict=True):
            if value is None:
                request.acquired = True
            elif value != leased(request.owner):
                del self.accepted[i]
                results |= self._meet(i, value)
        return results

    def give_back(self) -> None:
        """Frees the locks that this push has taken: nothing was pushed."""
        requests = [request for request in self._requests.values() if request.acquired]
        transitions = [
            (request, lifecycle.rollback_transition(request.key, request.owner))
            for request in requests
        ]
        apply_or_defer(self._context, transitions, self._since)

    def leave(self) -> None:
        """Leaves the locks to their leases, after an error that may have come after the send."""
        for request in self.accepted.values():
            self._context.pushes.ended_unknown(request.submitted_jid, request.owner)

    def settle(self, results: Mapping[int, PushResult]) -> Results:
        """Confirms the locks of pushed jobs, gives back those of jobs that were not.

        Returns:
            The results of whose lock there is more to say.
        """
        told: Results = {}
        pushed: dict[int, LockRequest] = {}
        transitions: list[tuple[LockRequest, Transition]] = []
        for i, request in self.accepted.items():
            status = results[i].status
            if status is PushStatus.PUSHED:
                self._context.pushes.arrived(request.submitted_jid)
            if status is PushStatus.PUSHED and request.status_if_pushed is PushStatus.PUSHED:
                pushed[i] = request
                transitions.append((request, request.confirm()))
            else:
                told[i] = self._told(request, results[i])
        for i, request in self.accepted.items():
            if request.acquired and results[i].status not in _MAY_BE_THERE:
                transitions.append(
                    (request, lifecycle.rollback_transition(request.key, request.owner))
                )
        found = apply_or_defer(self._context, transitions, self._since)
        elapsed = self._context.clock() - self._since
        for n, (i, request) in enumerate(pushed.items()):
            result = results[i]
            if request.replaces is not None:
                result = result._replace(replaced=request.replaces)
            told[i] = (
                self._unconfirmed(request, result)
                if found is None
                else self._confirmed(request, result, found[n], elapsed)
            )
        return told

    def close(self) -> None:
        """The push is over: another push of the same jobs is a push of its own."""
        self._context.pushes.end(self._begun, self)
        self._begun = []

    def _told(self, request: LockRequest, result: PushResult) -> PushResult:
        """The result of a job that has no lock to be confirmed."""
        if result.status is PushStatus.PUSHED:
            return result._replace(
                status=request.status_if_pushed, confirmed=False, error=request.reason
            )
        if result.status is PushStatus.UNKNOWN:
            self._context.pushes.ended_unknown(request.submitted_jid, request.owner)
            self._tell(request, EventName.PUSH_UNKNOWN)
            return _on_lease(result, request)
        if result.status is PushStatus.DUPLICATE:
            self._tell(request, EventName.DUPLICATE, "by the server's own account")
            return request.duplicate(result.jid, confirmed=True)
        return result

    def _confirmed(
        self, request: LockRequest, result: PushResult, found: str | None, elapsed: float
    ) -> PushResult:
        """The result of a job whose lock was to be confirmed."""
        lost_reason = request.lost_reason(found, elapsed)
        if not lost_reason:
            in_place = f"in the place of {request.replaces}" if request.replaces else ""
            self._tell(request, EventName.CONFIRMED, in_place)
            return result
        self._tell(request, EventName.LAPSED, lost_reason)
        # Where a third has replaced him, it is for the third that he steps aside.
        replaced = request.replaces if replaced_by(found) is None else None
        return result._replace(confirmed=False, replaced=replaced)

    def _unconfirmed(self, request: LockRequest, result: PushResult) -> PushResult:
        """The result of a job whose lock is to be confirmed when the store is back."""
        if request.replaces is not None:  # there is no lease to wait for
            return result._replace(confirmed=False)
        return _on_lease(result, request)

    def _go_unguarded(self, requests: Mapping[int, LockRequest], exc: StoreError) -> None:
        """Lets the jobs go out without a lock where they have none."""
        for i, request in requests.items():
            self._go(i)
            if not request.acquired:
                self._without_a_lock(request, PushStatus.UNGUARDED, str(exc))

    def _go(self, i: int) -> None:
        """Has a job go out; under a new jid, where its own may have been sent by this process."""
        request = self.accepted[i] = self._requests[i]
        if self._context.pushes.was_unknown(request.submitted_jid):
            request.jid = uuid.uuid4().hex

    def _meet(self, i: int, value: str) -> Results:
        """Another job has the key of this one: the result of a duplicate, none where it goes out.

        A lease is not replaced: whether its job will be there nobody knows.
        """
        request, owner = self._requests[i], owner_of(value)
        itself = owner in {request.owner, request.submitted_jid}
        if not request.policy.enforce:
            if itself:  # its jid has been sent, or is being
                request.jid = uuid.uuid4().hex
            self._go(i)
            self._without_a_lock(request, PushStatus.OBSERVED, f"{owner} has it")
        elif not request.is_replaceable or itself:
            return {i: self._duplicate(request, value)}
        elif is_leased(value):
            self._go(i)
            told = f"{owner} has it, and cannot be replaced before it is confirmed"
            self._without_a_lock(request, PushStatus.UNGUARDED, told)
        else:
            request.replaces = owner
            self._go(i)
        return {}

    def _without_a_lock(
        self, request: LockRequest, status_if_pushed: PushStatus, reason: str
    ) -> None:
        request.status_if_pushed, request.reason = status_if_pushed, reason
        self._tell(request, EventName(status_if_pushed), reason)

    def _duplicate(self, request: LockRequest, value: str) -> PushResult:
        self._tell(request, EventName.DUPLICATE, f"{owner_of(value)} has it")
        on_lease = is_leased(value)
        retry_after = request.policy.lease if on_lease else None
        return request.duplicate(owner_of(value), confirmed=not on_lease, retry_after=retry_after)

    def _tell(self, request: LockRequest, name: EventName, told: str = "") -> None:
        request.tell(self._context.hooks, name, told)


def _on_lease(result: PushResult, request: LockRequest) -> PushResult:
    return result._replace(confirmed=False, retry_after=request.policy.lease)
