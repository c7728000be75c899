"""What became of a pushed job: `PushStatus` and `PushResult`."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class PushStatus(StrEnum):
    """What became of one pushed job."""

    PUSHED = "pushed"
    UNGUARDED = "unguarded"
    OBSERVED = "observed"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class PushResult(NamedTuple):
    """What became of one pushed job; true when it was pushed.

    Attributes:
        status: `pushed`; `unguarded`: pushed without a lock, since the store is away and the policy
            says `on_store_error="push"`, or since the job that it was to replace is not confirmed
            yet; `observed`: an equal job was there already, and this one was pushed all the same,
            since the policy says `enforce=False`; `duplicate`: one was, and this one was not
            pushed; and, in the results of a bulk or of an error, `refused`, `not_sent` and
            `unknown`.
        jid: the job that now stands for this work: its own, or that of the one already there,
            which is the jid under which that work was first pushed (where a push went out anew
            after an unknown outcome, or was put back, the server has it under another). Empty
            where the server itself keeps jobs unique: it does not say which is there.
        submitted_jid: the jid that the caller's Job bears.
        key: the key of the work's lock; None for a job that is not unique.
        confirmed: whether the lock stands for as long as the job waits. False: it is only leased,
            by a push whose outcome is open or not yet confirmed.
        retry_after: seconds after which an unconfirmed lock has been confirmed or is gone.
        error: what Faktory said, or what went wrong, where the status is no good news; of an
            `unguarded` or `observed` job, why it has no lock; of a duplicate, only where the policy
            says `on_conflict="raise"`.
        replaced: the job that steps aside for this one, by the jid under which it was first pushed.
    """

    status: PushStatus
    jid: str
    submitted_jid: str
    key: str | None = None
    confirmed: bool = True
    retry_after: float | None = None
    error: str | None = None
    replaced: str | None = None

    def __bool__(self) -> bool:
        return self.status in {PushStatus.PUSHED, PushStatus.UNGUARDED, PushStatus.OBSERVED}
