"""Taking the locks of a chunk of a push, before PUSHB."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.events import EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.transition import SWAP_DEFER_SECONDS, leased, replaced_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faktory_unique.locks.transition import Transition

    from .context import UniqueContext
    from .lock_request import LockRequest


def acquire_locks(
    context: UniqueContext, requests: Mapping[int, LockRequest]
) -> dict[int, str | None]:
    """Takes the locks of these claims, or renews the leases that are their own.

    Returns:
        What was found under each claim's key; None or the own lease: it is leased by us now.

    Raises:
        StoreError: `took` of each claim tells whether its lock was taken all the same.
    """
    context.deferred.flush_keys([request.key for request in requests.values()])
    found = _run(context, requests, [request.take() for request in requests.values()])
    gone = {i: requests[i] for i, v in found.items() if replaced_by(v) is not None}
    if gone:  # a Job that was replaced once: under its old name it would step aside again
        for request in gone.values():
            fresh = uuid.uuid4().hex
            request.owner, request.jid = fresh, fresh
        found |= _run(context, gone, [request.take() for request in gone.values()])
    renewing = {i: requests[i] for i, v in found.items() if v == leased(requests[i].owner)}
    if renewing:
        for request in renewing.values():
            request.jid = uuid.uuid4().hex  # its own may have been sent
        renewals = [
            lifecycle.renew_transition(c.key, c.owner, c.policy.lease) for c in renewing.values()
        ]
        renewed = _run(context, renewing, renewals)
        # Of a lease that was over between the two: it was there, and its jid has been sent.
        found |= {i: v or leased(requests[i].owner) for i, v in renewed.items()}
    return found


def _run(
    context: UniqueContext, requests: Mapping[int, LockRequest], transitions: Sequence[Transition]
) -> dict[int, str | None]:
    """The value found under each claim's key; where there was none, this push has taken it."""
    try:
        found = context.store.run(transitions)
    except StoreError as exc:
        for request, transition in zip(requests.values(), transitions, strict=True):
            request.acquired = request.acquired or (
                transition.expected == (None,) and transition in exc.done
            )
        raise
    for request, value in zip(requests.values(), found, strict=True):
        request.acquired = value is None
    return dict(zip(requests, found, strict=True))


def apply_or_defer(
    context: UniqueContext, transitions: Sequence[tuple[LockRequest, Transition]], since: float
) -> list[str | None] | None:
    """Makes changes that follow what is already done; None where they are kept instead.

    The push has happened, or has been refused: no failure of the store may hide that.

    Args:
        context: those of `Unique`.
        transitions: the changes, each with the claim whose lock it is about.
        since: when the leases began, by the clock of `parts`.
    """
    if not transitions:
        return []
    try:
        return context.store.run([transition for _, transition in transitions])
    except StoreError as exc:
        elapsed = context.clock() - since
        for request, transition in transitions:
            if transition not in exc.done:
                left = request.policy.lease - elapsed
                if transition.replaces is not None:  # no tombstone bears witness for longer
                    left = min(left, SWAP_DEFER_SECONDS)
                context.deferred.defer(
                    transition, left, partial(_made_later, context, request), yields=True
                )
                told = f"{exc}; made when it is back"
                request.tell(context.hooks, EventName.STORE_ERROR, told)
        return None


def _made_later(
    context: UniqueContext, request: LockRequest, transition: Transition, found: str | None
) -> None:
    if transition.applied(found):
        name = EventName.RELEASED if transition.value is None else EventName.CONFIRMED
        request.tell(context.hooks, name, "once the store was back")
