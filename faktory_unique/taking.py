"""Taking the locks of a chunk of a push, before PUSHB."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from . import lifecycle
from .change import leased, successor_of
from .errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .change import Change
    from .claims import Claim
    from .parts import Parts


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
