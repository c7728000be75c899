"""`ChunkLocks`: acquires, renews, confirms and rolls back a chunk's locks; handles conflicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique._util import log
from faktory_unique.errors import StoreError
from faktory_unique.events import EventName
from faktory_unique.locks.transition import is_leased, leased, owner_of, replaced_by
from faktory_unique.results import PushResult, PushStatus

from .lock_writes import acquire_locks, apply_or_defer
from .push_results import (
    duplicate_of_holder,
    duplicate_result,
    lapse_reason,
    leased_result,
    unconfirmed_result,
    unlocked_result,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faktory_unique.locks.transition import Transition

    from .context import UniqueContext
    from .lock_request import LockRequest

Results = dict[int, PushResult]  # by the job's index in the batch

# The fraction of a lease after which it is renewed before its job is sent, or finalized before
# another chunk is sent. The rest covers a PUSHB that takes half a lease (a Client's time-out).
_STALE_FRACTION = 0.25

# With any other status the job is not on the server.
_MAY_BE_ON_SERVER = {PushStatus.PUSHED, PushStatus.UNKNOWN}


class ChunkLocks:
    """The locks of a chunk's unique jobs. Call `close` in any case.

    Args:
        context: shared by all pushes of one `Unique`.
        requests: the requests of the chunk's unique jobs, by their index in the batch.

    Attributes:
        included: the requests of the jobs that are to be pushed: all but the duplicates. It is
            complete once the locks are acquired.
    """

    def __init__(self, context: UniqueContext, requests: Mapping[int, LockRequest]) -> None:
        self._context = context
        self._requests = requests
        self.included: dict[int, LockRequest] = {}
        self._submitted_jids: list[str] = []
        self._leased_at = context.clock()

    def acquire(self) -> Results:
        """Acquire the locks. Return the results of the duplicates.

        Raises:
            StoreError: they could not be acquired. The caller must roll back those that were.
        """
        results: Results = {}
        requests: dict[int, LockRequest] = {}
        # Set first, so that `close` ends these pushes even if an interrupt comes during `begin`.
        self._submitted_jids = [request.submitted_jid for request in self._requests.values()]
        begun = self._context.pushes.begin(self._submitted_jids, self)
        for i, request in self._requests.items():
            if request.submitted_jid not in begun:
                # Another thread pushes the same Job. Its lease is not this push's lease.
                results |= self._on_conflict(i, leased(request.submitted_jid))
            elif request.status_if_pushed is PushStatus.OBSERVED:
                self._include(i)
            else:
                requests[i] = request
        try:
            found = acquire_locks(self._context, requests)
        except StoreError as exc:
            if not all(request.may_push_unlocked for request in requests.values()):
                raise
            self._include_unlocked(requests, exc)
            return results
        for i, value in found.items():
            if value is None or value == leased(requests[i].owner):
                self._include(i)
                self._emit(requests[i], EventName.ACQUIRED)
            else:
                results |= self._on_conflict(i, value)
        return results

    @property
    def are_stale(self) -> bool:
        """Whether a quarter of a lease is over, so that the next step could outlast the lease."""
        age = self._context.clock() - self._leased_at
        requests = self.included.values()
        return any(age >= _STALE_FRACTION * r.policy.lease for r in requests if r.has_lease)

    def renew(self) -> Results:
        """Renew the leases: another chunk took long, and this chunk is not sent yet.

        Returns:
            The results of duplicates: their lease lapsed, and another job has the lock now.

        Raises:
            StoreError: the leases could not be renewed. The caller must roll them back.
        """
        leased_at = self._context.clock()
        requests = {i: request for i, request in self.included.items() if request.has_lease}
        renewals = [request.renew_transition() for request in requests.values()]
        try:
            found = self._context.store.run(renewals)
        except StoreError:
            if not all(request.may_push_unlocked for request in requests.values()):
                raise
            return {}  # sent with the rest of the leases; the confirm reports a lapse
        self._leased_at = leased_at
        results: Results = {}
        for (i, request), value in zip(requests.items(), found, strict=True):
            if value is None:
                request.mark_acquired()
            elif value != leased(request.owner):
                del self.included[i]
                results |= self._on_conflict(i, value)
        return results

    def roll_back(self) -> None:
        """Roll back the locks that this push has acquired: nothing was pushed."""
        acquired = [request for request in self._requests.values() if request.acquired]
        writes = [(request, request.rollback_transition()) for request in acquired]
        apply_or_defer(self._context, writes, self._leased_at)

    def leave_leased(self) -> None:
        """Leave the locks to their leases, after an exception: the jobs may have been sent."""
        for request in self.included.values():
            self._context.pushes.record_unknown(request.submitted_jid, request.owner)

    def finalize(self, results: Mapping[int, PushResult]) -> Results:
        """Confirm the locks of pushed jobs, and roll back those of jobs that were not pushed.

        Args:
            results: the results of the batch, by index.

        Returns:
            The results that changed while locks were confirmed or rolled back.
        """
        pushed: dict[int, LockRequest] = {}
        unlocked: dict[int, LockRequest] = {}
        writes: list[tuple[LockRequest, Transition]] = []
        for i, request in self.included.items():
            status = results[i].status
            if status is PushStatus.PUSHED:
                self._context.pushes.record_pushed(request.submitted_jid)
            elif status is PushStatus.UNKNOWN:
                self._context.pushes.record_unknown(request.submitted_jid, request.owner)
            if status is PushStatus.PUSHED and request.status_if_pushed is PushStatus.PUSHED:
                pushed[i] = request
                writes.append((request, request.confirm_transition()))
            else:
                unlocked[i] = request
        for i, request in self.included.items():
            if request.acquired and results[i].status not in _MAY_BE_ON_SERVER:
                writes.append((request, request.rollback_transition()))
        found = apply_or_defer(self._context, writes, self._leased_at)
        # Events come after all writes: a hook can raise SystemExit.
        changed = {i: self._result_without_lock(r, results[i]) for i, r in unlocked.items()}
        elapsed = self._context.clock() - self._leased_at
        for n, (i, request) in enumerate(pushed.items()):
            result = results[i]
            if request.replaces is not None:
                result = result._replace(replaced=request.replaces)
            changed[i] = (
                unconfirmed_result(request, result)
                if found is None
                else self._confirmed(request, result, found[n], elapsed)
            )
        return changed

    def close(self) -> None:
        """Remove the marks that these jobs are being pushed, so that they can be pushed again."""
        self._context.pushes.end(self._submitted_jids, self)
        self._submitted_jids = []

    def _result_without_lock(self, request: LockRequest, result: PushResult) -> PushResult:
        """Return the result of a job that has no lock to confirm."""
        if result.status is PushStatus.PUSHED:
            return unlocked_result(request, result)
        if result.status is PushStatus.UNKNOWN:
            self._emit(request, EventName.PUSH_UNKNOWN)
            return leased_result(request, result)
        if result.status is PushStatus.DUPLICATE:
            self._emit(request, EventName.DUPLICATE, "Faktory itself keeps jobs unique")
            return duplicate_result(request, result.jid, confirmed=True)
        return result

    def _confirmed(
        self, request: LockRequest, result: PushResult, found: str | None, elapsed: float
    ) -> PushResult:
        """Return the result of a job whose confirm got the reply `found`."""
        reason = lapse_reason(request, found, elapsed)
        if not reason:
            detail = f"replaces {request.replaces}" if request.replaces else ""
            self._emit(request, EventName.CONFIRMED, detail)
            return result
        self._emit(request, EventName.LAPSED, reason)
        # If a third job has replaced the other, the third job supersedes it, not this one.
        replaced = request.replaces if replaced_by(found) is None else None
        return result._replace(confirmed=False, replaced=replaced)

    def _include_unlocked(self, requests: Mapping[int, LockRequest], exc: StoreError) -> None:
        """Include jobs while the store is unavailable. Those without a lock go unlocked."""
        for i, request in requests.items():
            self._include(i)
            if not request.acquired:
                request.go_unlocked(self._context.hooks, PushStatus.UNGUARDED, str(exc))

    def _include(self, i: int) -> None:
        """Include a job in the push. It gets a new jid if this process may have sent its own."""
        request = self.included[i] = self._requests[i]
        if self._context.pushes.is_unknown(request.submitted_jid):
            request.use_new_jid()

    def _on_conflict(self, i: int, value: str) -> Results:
        """Handle a lock that another job has. Return the result of a duplicate, by index.

        Return an empty dict if the job is pushed: it is observed, or it replaces the other job.
        A lease is not replaced: its job may not be pushed at all. The job then goes unlocked.
        """
        request, owner = self._requests[i], owner_of(value)
        is_itself = owner in {request.owner, request.submitted_jid}
        if not request.policy.enforce:
            if is_itself:  # its jid has been sent, or is being sent
                request.use_new_jid()
            self._include(i)
            detail = f"{owner} has the lock"
            request.go_unlocked(self._context.hooks, PushStatus.OBSERVED, detail)
        elif not request.is_replaceable or is_itself:
            self._emit(request, EventName.DUPLICATE, f"{owner} has the lock")
            result = duplicate_of_holder(request, value)
            if result.of_running_job and self._context.warned.is_first(request.job["jobtype"]):
                log.warning(
                    "a handler pushed its own work, which is a duplicate of itself: jobtype=%s; "
                    "release the lock at the start (until), raise RetryLater, or count in the args",
                    request.job["jobtype"],
                )
            return {i: result}
        elif is_leased(value):
            self._include(i)
            detail = f"{owner} has the lock, and cannot be replaced before its push is confirmed"
            request.go_unlocked(self._context.hooks, PushStatus.UNGUARDED, detail)
        else:
            request.replace_holder(owner)
            self._include(i)
        return {}

    def _emit(self, request: LockRequest, name: EventName, detail: str = "") -> None:
        request.emit(self._context.hooks, name, detail)
