"""`PushResult` and `PushStatus`; the check that middleware returns one result for each job."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class PushStatus(StrEnum):
    """The status of one job of a push. `PushResult` explains each of them."""

    PUSHED = "pushed"
    UNGUARDED = "unguarded"
    OBSERVED = "observed"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class PushResult(NamedTuple):
    """The result of pushing one job. It is true if the job was pushed.

    The status is one of:

    - `pushed`: Faktory has the job.
    - `unguarded`: the job was pushed without a lock. The store is unavailable and the policy says
      `on_store_error="push"`, or the job to replace is not confirmed yet.
    - `observed`: an equal job is queued or running, and this one was pushed since the policy says
      `enforce=False`.
    - `duplicate`: an equal job is queued or running, and this one was not pushed.
    - `refused`, `not_sent`, `unknown`: see `PushRefused`, `PushNotSent` and `PushOutcomeUnknown`.
      Only the results of a bulk or of an exception have these statuses.

    Attributes:
        status: what happened to the job.
        jid: the jid under which this work was first pushed: the job's own, or that of the equal
            job. On the server it may have another jid, if it was requeued or pushed again after an
            unknown outcome. Empty if the server itself found a duplicate: the server does not say
            which job it is.
        submitted_jid: the jid of the Job object that was pushed.
        key: the key of the lock; None if the job is not unique.
        confirmed: whether the lock lasts for as long as the job waits. False if it is only leased,
            by a push that has not ended or whose outcome is unknown.
        retry_after: seconds until an unconfirmed lock is confirmed or has lapsed.
        error: why the job was not pushed, such as Faktory's error text; or why an `unguarded` or
            `observed` job has no lock. A duplicate has an error only if the policy says
            `on_conflict="raise"`.
        replaced: the jid under which the replaced job was first pushed; None if no job was
            replaced.
        of_running_job: whether the equal job is the one whose handler made this push: a job cannot
            push itself again while it has its lock.
    """

    status: PushStatus
    jid: str
    submitted_jid: str
    key: str | None = None
    confirmed: bool = True
    retry_after: float | None = None
    error: str | None = None
    replaced: str | None = None
    of_running_job: bool = False

    def __bool__(self) -> bool:
        return self.status in {PushStatus.PUSHED, PushStatus.UNGUARDED, PushStatus.OBSERVED}


def require_one_result_each(results: list[PushResult], jobs: Sequence[object]) -> list[PushResult]:
    """Return the results of a push chain unchanged, if there is one for each job.

    Raises:
        RuntimeError: the number of results differs, because a push middleware is wrong.
    """
    given: object = results  # from a middleware, which may not be type-checked
    # A result is a tuple itself.
    is_list = isinstance(given, list | tuple) and not isinstance(given, PushResult)
    count = len(results) if is_list else "no list of"
    if count != len(jobs):
        raise RuntimeError(
            f"a push middleware returned {count} results for {len(jobs)} jobs; "
            "return one PushResult for each job, in order"
        )
    return results
