"""Taking the locks of a chunk of a push, before PUSHB."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.events import EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.transition import SWAP_KEPT, leased, successor_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faktory_unique.locks.transition import Change

    from .context import Parts
    from .lock_request import Claim


def run_takes(parts: Parts, claims: Mapping[int, Claim]) -> dict[int, str | None]:
    """Takes the locks of these claims, or renews the leases that are their own.

    Returns:
        What was found under each claim's key; None or the own lease: it is leased by us now.

    Raises:
        StoreError: `took` of each claim tells whether its lock was taken all the same.
    """
    parts.kept.settle([claim.key for claim in claims.values()])
    found = _run(parts, claims, [claim.take() for claim in claims.values()])
    gone = {i: claims[i] for i, v in found.items() if successor_of(v) is not None}
    if gone:  # a Job that was replaced once: under its old name it would step aside again
        for claim in gone.values():
            fresh = uuid.uuid4().hex
            claim.owner, claim.jid = fresh, fresh
        found |= _run(parts, gone, [claim.take() for claim in gone.values()])
    renewing = {i: claims[i] for i, v in found.items() if v == leased(claims[i].owner)}
    if renewing:
        for claim in renewing.values():
            claim.jid = uuid.uuid4().hex  # its own may have been sent
        renewals = [lifecycle.renew(c.key, c.owner, c.policy.lease) for c in renewing.values()]
        renewed = _run(parts, renewing, renewals)
        # Of a lease that was over between the two: it was there, and its jid has been sent.
        found |= {i: v or leased(claims[i].owner) for i, v in renewed.items()}
    return found


def _run(
    parts: Parts, claims: Mapping[int, Claim], changes: Sequence[Change]
) -> dict[int, str | None]:
    """The value found under each claim's key; where there was none, this push has taken it."""
    try:
        found = parts.store.run(changes)
    except StoreError as exc:
        for claim, change in zip(claims.values(), changes, strict=True):
            claim.took = claim.took or (change.expected == (None,) and change in exc.done)
        raise
    for claim, value in zip(claims.values(), found, strict=True):
        claim.took = value is None
    return dict(zip(claims, found, strict=True))


def run_or_keep(
    parts: Parts, changes: Sequence[tuple[Claim, Change]], since: float
) -> list[str | None] | None:
    """Makes changes that follow what is already done; None where they are kept instead.

    The push has happened, or has been refused: no failure of the store may hide that.

    Args:
        parts: those of `Unique`.
        changes: the changes, each with the claim whose lock it is about.
        since: when the leases began, by the clock of `parts`.
    """
    if not changes:
        return []
    try:
        return parts.store.run([change for _, change in changes])
    except StoreError as exc:
        elapsed = parts.clock() - since
        for claim, change in changes:
            if change not in exc.done:
                left = claim.policy.lease - elapsed
                if change.replaces is not None:  # no tombstone bears witness for longer
                    left = min(left, SWAP_KEPT)
                parts.kept.keep(change, left, partial(_made_later, parts, claim), yields=True)
                told = f"{exc}; made when it is back"
                claim.tell(parts.hooks, EventName.STORE_ERROR, told)
        return None


def _made_later(parts: Parts, claim: Claim, change: Change, found: str | None) -> None:
    if change.happened(found):
        name = EventName.RELEASED if change.value is None else EventName.CONFIRMED
        claim.tell(parts.hooks, name, "once the store was back")
