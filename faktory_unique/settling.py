"""Changes of locks that follow what a push has come to: made now, or kept until they can be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .change import SWAP_KEPT
from .errors import StoreError
from .events import EventName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .change import Change
    from .claims import Claim
    from .parts import Parts


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
