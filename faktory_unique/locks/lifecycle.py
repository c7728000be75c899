"""The life cycle of a lock: what each step of a job (push, FETCH, ACK, FAIL, requeue) writes to it.

These are the rows of docs/design.md §5. The rows before FETCH are the same for each `until`, and
are functions. From FETCH on, `TABLE` has the effect of each step for each `until`. `replies` says
what the store's reply means. Pure functions, without clock or I/O.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from .keys import run_key
from .lock_ttl import attempt_seconds, requeue_seconds, retry_seconds
from .server_rules import FailureOutcome, expiry_noticed_after, failure_outcome
from .transition import Transition, held, leased, read_transition, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faktory_unique.policy.policy import Until

    from .stamp import Stamp


class Step(Enum):
    """A step in the life of a job that has a lock, from FETCH on."""

    FETCH = "a worker has fetched the job"
    ACK = "ACK accepted within reserve_for"
    ACK_LATE = "ACK accepted up to 10 s later, when the reservation may have expired"
    FAIL = "FAIL accepted, also up to 10 s late: the expiry would have meant the same"
    REQUEUE = "a copy of the job is about to be pushed instead of it"


class Act(Enum):
    """The effect of a step on the lock. "Own" means: leased or held by the job's owner."""

    LEAVE = "nothing"
    HOLD = "own or absent → held for as long as the attempt can take; another's is left alone"
    RELEASE = "own → released"
    RELEASE_IF_OVER = "own → released, if a failure means that the job is not retried"
    AFTER_FAILURE = "own → released, or held while the job waits for a retry, or held after death"
    EXTEND = "own → held for as long as the copy, or this attempt, can take; never shortened"


TABLE: Mapping[Step, Mapping[Until, Act]] = {
    Step.FETCH: {"success": Act.HOLD, "start": Act.RELEASE, "expiry": Act.LEAVE},
    Step.ACK: {"success": Act.RELEASE, "start": Act.LEAVE, "expiry": Act.LEAVE},
    Step.ACK_LATE: {"success": Act.RELEASE_IF_OVER, "start": Act.LEAVE, "expiry": Act.LEAVE},
    # A job that failed before its handler started still has its lock, also under "start".
    Step.FAIL: {"success": Act.AFTER_FAILURE, "start": Act.AFTER_FAILURE, "expiry": Act.LEAVE},
    # A job that waits for a run lock still has its lock, and so has one that failed to release it.
    Step.REQUEUE: {"success": Act.EXTEND, "start": Act.EXTEND, "expiry": Act.LEAVE},
}

# Seconds that a run lock lives until its worker has received the reply and holds it. If the reply
# is lost, other jobs wait no longer than this.
RUN_LEASE = 30


class Need(Enum):
    """The consequence of a failing store for a write at FETCH."""

    REQUIRED = "the job must not run before the write is applied: requeue the job"
    DEFERRABLE = "the job runs, and the write is applied once the store is back"
    OPTIONAL = "the job runs; the write only reads whether the job was replaced"


class FetchWrite(NamedTuple):
    """The write of a job's lock at FETCH.

    Attributes:
        transition: the write.
        need: the consequence of a failing store for it.
    """

    transition: Transition
    need: Need


def fetch_write(stamp: Stamp, job: dict[str, Any], *, runs: bool) -> FetchWrite | None:
    """Return what FETCH writes to the lock; None if it leaves the lock alone.

    The write is required in three cases: the job is exclusive, it replaces another job, or it
    releases its lock. While that lock stands, a push is a duplicate of a run that may have missed
    its change.

    Args:
        stamp: the job's stamp.
        job: the payload as fetched.
        runs: whether the job is to run; False if a middleware drops it.
    """
    if not runs:
        stamp = stamp._replace(replaces=None)  # a job that does not run supersedes no other
    transition = transition_for(Step.FETCH, stamp, job)
    if transition is None:
        return None
    releases = stamp.enforce and TABLE[Step.FETCH][stamp.until] is Act.RELEASE
    if (stamp.exclusive and runs) or releases or stamp.replaces is not None:
        return FetchWrite(transition, Need.REQUIRED)
    return FetchWrite(transition, Need.OPTIONAL if transition.is_read_only else Need.DEFERRABLE)


def transition_for(
    step: Step, stamp: Stamp, job: dict[str, Any], delay: float = 0
) -> Transition | None:
    """Return what a step writes to the lock of a fetched job; None if it leaves the lock alone.

    At FETCH nothing is written for a job that was replaced; the reply names its successor. A job
    that replaces another gets the other's lock by a swap, unless its producer has made the swap.

    Args:
        step: the step in the life of the job.
        stamp: the job's stamp.
        job: the payload as fetched.
        delay: seconds until the copy of a requeued job is due; ignored at other steps.
    """
    transition = _transition_of(TABLE[step][stamp.until], stamp, job, delay)
    if step is not Step.FETCH or not (stamp.replaceable or stamp.replaces):
        return transition
    if transition is None:
        return swap_transition_at_fetch(stamp, job)
    return transition._replace(unless_replaced=stamp.owner, replaces=stamp.replaces)


def swap_transition_at_fetch(stamp: Stamp, job: dict[str, Any]) -> Transition:
    """Return the transition of FETCH for a job that can replace or be replaced: a swap or a read.

    The swap gives the lock of the replaced job to this job, if the replaced job still has it. A job
    that replaces none only reads. In both cases the reply says if this job itself was replaced.

    Args:
        stamp: the job's stamp.
        job: the payload as fetched.
    """
    if stamp.replaces is None:
        return read_transition(stamp.key)._replace(unless_replaced=stamp.owner)
    fixed = stamp.until == "expiry" or not stamp.renew
    ttl = whole_seconds(stamp.ttl if fixed else attempt_seconds(stamp, job))
    swap = Transition(stamp.key, (), held(stamp.owner), ttl)
    return swap._replace(unless_replaced=stamp.owner, replaces=stamp.replaces)


def _transition_of(act: Act, stamp: Stamp, job: dict[str, Any], delay: float) -> Transition | None:
    match act:
        case Act.HOLD:
            return hold_transition(stamp, job)
        case Act.EXTEND:
            return extend_transition(stamp, requeue_seconds(stamp, job, delay))
        case Act.AFTER_FAILURE:
            return failure_transition(stamp, job)
        case Act.RELEASE:
            return release_transition(stamp.key, stamp.owner)
        case Act.RELEASE_IF_OVER if ends_lock(stamp, failure_outcome(job)):
            return release_transition(stamp.key, stamp.owner)
        case _:
            return None


def hold_transition(stamp: Stamp, job: dict[str, Any]) -> Transition:
    """Return the transition of FETCH: own or absent → held for one attempt."""
    if not stamp.renew:
        # The TTL counts from the push. Only a confirm can still be missing.
        return confirm_transition(stamp.key, stamp.owner, stamp.ttl)
    ttl = whole_seconds(attempt_seconds(stamp, job))
    # The write may be applied late, after a requeue gave the lock a longer TTL. If the job will not
    # be retried, the TTL is shorter from here on.
    extends = failure_outcome(job) is FailureOutcome.RETRIED
    return Transition(stamp.key, (*_own_values(stamp), None), held(stamp.owner), ttl, extends)


def _own_values(stamp: Stamp) -> tuple[str, str]:
    return leased(stamp.owner), held(stamp.owner)


def extend_transition(stamp: Stamp, ttl: float) -> Transition | None:
    """Return the transition own → held for `ttl` seconds, never shortened; None if it is fixed."""
    if not stamp.renew:
        return None
    value = held(stamp.owner)
    return Transition(stamp.key, _own_values(stamp), value, whole_seconds(ttl), extends=True)


def failure_transition(stamp: Stamp, job: dict[str, Any]) -> Transition | None:
    """Return the transition after an accepted FAIL; None if the failure leaves the lock alone."""
    outcome = failure_outcome(job)
    if ends_lock(stamp, outcome):
        return release_transition(stamp.key, stamp.owner)
    if outcome is FailureOutcome.RETRIED:
        return extend_transition(stamp, retry_seconds(stamp, job))
    if not stamp.renew:
        return None
    return Transition(stamp.key, _own_values(stamp), held(stamp.owner), whole_seconds(stamp.ttl))


def ends_lock(stamp: Stamp, outcome: FailureOutcome) -> bool:
    """Return whether a failure with this outcome ends the work, and so releases the lock."""
    if outcome is FailureOutcome.DEAD:
        return stamp.on_death == "release"
    return outcome is FailureOutcome.DROPPED


def acquire_transition(
    key: str, owner: str, lease: float, *, replaceable: bool = False
) -> Transition:
    """Return the transition before PUSHB: absent → leased for `lease` seconds.

    If the job is replaceable and its owner has a tombstone, nothing is written: the job would be
    superseded. It needs a new owner.
    """
    unless = owner if replaceable else None
    return Transition(key, (None,), leased(owner), whole_seconds(lease), unless_replaced=unless)


def renew_transition(key: str, owner: str, lease: float) -> Transition:
    """Return the transition before PUSHB of a job with a lease: own lease or absent → leased."""
    return Transition(key, (leased(owner), None), leased(owner), whole_seconds(lease))


def confirm_transition(key: str, owner: str, ttl: float) -> Transition:
    """Return the transition after an accepted PUSHB: own lease → held, if no worker was faster."""
    return Transition(key, (leased(owner),), held(owner), whole_seconds(ttl))


def swap_transition(key: str, owner: str, replaced: str, ttl: float) -> Transition:
    """Return the transition after an accepted PUSHB of a replacing job: the other's → held.

    An absent lock becomes held, too, for `ttl` seconds. If the replaced owner has a tombstone,
    nothing is written: the worker was faster, or a third job replaced that owner's job.
    """
    swap = Transition(key, (None,), held(owner), whole_seconds(ttl))
    return swap._replace(unless_replaced=owner, replaces=replaced, once=True)


def rollback_transition(key: str, owner: str) -> Transition:
    """Return the transition after PUSHB was refused or not sent: own lease → absent."""
    return Transition(key, (leased(owner),), None, 0)


def release_transition(key: str, owner: str) -> Transition:
    """Return the transition at the end of a job: own (leased, if not confirmed yet) → absent."""
    return Transition(key, (leased(owner), held(owner)), None, 0)


def acquire_run_transition(key: str, token: str) -> Transition:
    """Return the transition of an exclusive job's FETCH: the run lock, absent → `token`."""
    return Transition(run_key(key), (None,), token, RUN_LEASE)


def hold_run_transition(key: str, token: str, job: dict[str, Any]) -> Transition:
    """Return the transition that holds an acquired run lock for the reservation."""
    return Transition(run_key(key), (token,), token, expiry_noticed_after(job))


def release_run_transition(key: str, token: str) -> Transition:
    """Return the transition that releases a run lock: the next job of the key may run."""
    return Transition(run_key(key), (token,), None, 0)
