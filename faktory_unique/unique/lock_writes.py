"""Sends the lock writes of a push to the store; defers confirms and rollbacks that fail."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.events import EventName
from faktory_unique.locks.transition import SWAP_DEFER_SECONDS, leased, replaced_by

LEFT_TO_ITS_TTL = "the lock is left to its TTL"

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faktory_unique.locks.transition import Transition

    from .context import UniqueContext
    from .lock_request import LockRequest


def acquire_locks(
    context: UniqueContext, requests: Mapping[int, LockRequest]
) -> dict[int, str | None]:
    """Acquire the locks of these requests, or renew the leases that they have already.

    Returns:
        The value found under each request's key. If it is None or the request's own lease, the lock
        is leased now.

    Raises:
        StoreError: the store failed. Some locks may be acquired: `acquired` of each request says
            whether its lock is.
    """
    context.deferred.flush_keys([request.key for request in requests.values()])
    found = _acquire(context, requests)
    replaced = {i: requests[i] for i, value in found.items() if replaced_by(value) is not None}
    if replaced:  # a Job that was replaced once: under its old owner it would be superseded
        for request in replaced.values():
            request.use_new_owner()
        found |= _acquire(context, replaced)
    own = {i: requests[i] for i, value in found.items() if value == leased(requests[i].owner)}
    if own:
        for request in own.values():
            request.use_new_jid()
        renewed = _run(context, own, [request.renew_transition() for request in own.values()])
        # If the lease lapsed in between, it still counts as found: its jid may have been sent.
        found |= {i: value or leased(requests[i].owner) for i, value in renewed.items()}
    return found


def _acquire(context: UniqueContext, requests: Mapping[int, LockRequest]) -> dict[int, str | None]:
    return _run(context, requests, [request.acquire_transition() for request in requests.values()])


def _run(
    context: UniqueContext,
    requests: Mapping[int, LockRequest],
    transitions: Sequence[Transition],
) -> dict[int, str | None]:
    """Send a transition for each request. Return the value found under each key.

    If no lock was found, this push has acquired it, and the request is marked as acquired.
    """
    try:
        found = context.store.run(transitions)
    except StoreError as exc:
        for request, transition in zip(requests.values(), transitions, strict=True):
            if transition.expected == (None,) and transition in exc.done:
                request.mark_acquired()
        raise
    for request, value in zip(requests.values(), found, strict=True):
        if value is None:
            request.mark_acquired()
    return dict(zip(requests, found, strict=True))


def apply_or_defer(
    context: UniqueContext, writes: Sequence[tuple[LockRequest, Transition]], leased_at: float
) -> list[str | None] | None:
    """Apply confirms and rollbacks after a push. If the store fails, defer them.

    The job was pushed, or was refused: an exception of the store must not hide that.

    Args:
        context: shared by all pushes of one `Unique`.
        writes: the requests, each with the transition of its lock.
        leased_at: when the leases began, a time of the context's clock. Deferred writes expire
            when the lease does.

    Returns:
        The values found, in order; None if the store failed. A write that the store refused for
        good is reported, and not deferred.
    """
    if not writes:
        return []
    try:
        return context.store.run([transition for _, transition in writes])
    except StoreError as exc:
        elapsed = context.clock() - leased_at
        given_up = {*exc.done, *exc.refused}
        failed = [(request, write) for request, write in writes if write not in given_up]
        for request, transition in failed:
            seconds = request.policy.lease - elapsed
            if transition.replaces is not None:  # later, the tombstone may have expired
                seconds = min(seconds, SWAP_DEFER_SECONDS)
            on_applied = partial(_emit_applied, context, request)
            on_refused = partial(_emit_refused, context, request)
            context.deferred.defer(transition, seconds, on_applied, on_refused, yields=True)
        context.deferred.flush_in_background()
        # Events come after all writes: a hook can raise SystemExit.
        for request, transition in writes:
            if transition in exc.refused:
                _emit_refused(context, request, str(exc))
        for request, _ in failed:
            detail = f"{exc}; applied once the store is back"
            request.emit(context.hooks, EventName.STORE_ERROR, detail)
        return None


def _emit_applied(
    context: UniqueContext, request: LockRequest, transition: Transition, found: str | None
) -> None:
    """Emit the event of a deferred write, if it was applied."""
    if transition.applied(found):
        name = EventName.RELEASED if transition.value is None else EventName.CONFIRMED
        request.emit(context.hooks, name, "once the store was back")


def _emit_refused(context: UniqueContext, request: LockRequest, reason: str) -> None:
    """Emit the event of a write that the store refused for good."""
    request.emit(context.hooks, EventName.STORE_ERROR, f"{reason}; {LEFT_TO_ITS_TTL}")
