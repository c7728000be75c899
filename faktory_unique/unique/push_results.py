"""The result of a pushed unique job: duplicate and its error, unconfirmed, lapsed and why.

Pure functions: they read a `LockRequest` and return a `PushResult` or a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.locks.stamp import read_stamp
from faktory_unique.locks.transition import held, is_leased, leased, owner_of, replaced_by
from faktory_unique.middleware import running_job
from faktory_unique.results import PushResult, PushStatus

if TYPE_CHECKING:
    from .lock_request import LockRequest


def sent_result(request: LockRequest | None, result: PushResult, submitted_jid: str) -> PushResult:
    """Return the result of a job that was sent, with the jid and the key that its caller knows.

    Args:
        request: the lock request; None if the job is not unique.
        result: the result of the inner push, by the jid that was sent.
        submitted_jid: the jid of the caller's Job.
    """
    key = None if request is None else request.key
    # A new tuple: `_replace` takes twice as long.
    return PushResult(
        result.status,
        result.jid,
        submitted_jid,
        key,
        result.confirmed,
        result.retry_after,
        result.error,
        result.replaced,
    )


def duplicate_of_holder(request: LockRequest, value: str) -> PushResult:
    """Return the result of a job whose lock another job has, by the value of that lock."""
    if is_leased(value):
        lease = request.policy.lease
        return duplicate_result(request, owner_of(value), confirmed=False, retry_after=lease)
    return duplicate_result(request, owner_of(value), confirmed=True)


def duplicate_result(
    request: LockRequest, jid: str, *, confirmed: bool, retry_after: float | None = None
) -> PushResult:
    """Return the result of a duplicate. It has an error if its policy says "raise".

    Args:
        request: the lock request of the duplicate.
        jid: the owner of the other job; empty if it is not known.
        confirmed: whether the other job's lock is held.
        retry_after: seconds until a leased lock is confirmed or has lapsed.
    """
    raises = request.policy.enforce and request.policy.on_conflict == "raise"
    return PushResult(
        status=PushStatus.DUPLICATE,
        jid=jid,
        submitted_jid=request.submitted_jid,
        key=request.key,
        confirmed=confirmed,
        retry_after=retry_after,
        error=_duplicate_error(jid, confirmed=confirmed) if raises else None,
        of_running_job=_is_running_here(jid),
    )


def unlocked_result(request: LockRequest, result: PushResult) -> PushResult:
    """Return the result of a job that was pushed without a lock: unguarded or observed, and why."""
    status, reason = request.status_if_pushed, request.reason
    return result._replace(status=status, confirmed=False, error=reason)


def leased_result(request: LockRequest, result: PushResult) -> PushResult:
    """Return the result of a job whose lock stays leased: the outcome of its push is unknown."""
    return result._replace(confirmed=False, retry_after=request.policy.lease)


def unconfirmed_result(request: LockRequest, result: PushResult) -> PushResult:
    """Return the result of a pushed job whose confirm is deferred until the store is back."""
    if request.replaces is not None:  # there is no lease to wait for
        return result._replace(confirmed=False)
    return leased_result(request, result)


def lapse_reason(request: LockRequest, found: str | None, elapsed: float) -> str:
    """Return why a job has lost its lock before its confirm; empty if it has not.

    Until the lease is over, the lock is leased or held, or a faster worker has released it. That is
    true even if another job has the lock by now.

    Args:
        request: the lock request of the pushed job.
        found: the reply to the confirm: the value found, or a replaced marker.
        elapsed: seconds since just before the lock was acquired.
    """
    owner = request.owner
    if request.replaces is None:
        if elapsed < request.policy.lease or found in {leased(owner), held(owner)}:
            return ""
        return f"the push was confirmed after {elapsed:.1f} s, when its lease was over"
    if request.confirm_transition().applied(found) or owner in {found, replaced_by(found)}:
        return ""
    other = owner_of(replaced_by(found) or found or "")
    return f"{other} has replaced {request.replaces}, too"


def _is_running_here(owner: str) -> bool:
    """Return whether this push is made by the handler of the job with this owner."""
    job = running_job.get()
    stamp = None if job is None else read_stamp(job)
    return stamp is not None and stamp.owner == owner


def _duplicate_error(jid: str, *, confirmed: bool) -> str:
    state = "queued or running" if confirmed else "being pushed"
    which = f"jid {jid}" if jid else "Faktory does not report its jid"
    return f"an equal job is {state} ({which})"
