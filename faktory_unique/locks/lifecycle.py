"""The life of a lock (docs/design.md §5), pure: what each event changes, and for how long.

The rows before FETCH are alike whenever a lock is freed, and are functions. From FETCH on, `TABLE`
says what is done at each step for each `until`; `transition_for` tells it as a `Transition`, which the store
carries out. No clock and no I/O here.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from .keys import run_key
from .server_rules import (
    PROMOTION_MARGIN,
    FailureOutcome,
    expiry_noticed_after,
    failure_outcome,
    failures_before,
    latest_retry,
)
from .transition import Transition, held, leased, read_transition, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from faktory_unique.policy.policy import Until

    from .stamp import Stamp


class Step(Enum):
    """What happens to a job whose lock stands, from FETCH on."""

    FETCH = "FETCH: the job is to run"
    ACK = "ACK accepted within reserve_for"
    ACK_LATE = "ACK accepted up to 10 s later, when the reservation may have expired"
    FAIL = "FAIL accepted, also up to 10 s late: the expiry would have meant the same"
    REQUEUE = "a copy of the job is about to be pushed in its stead"


class Act(Enum):
    """What is done to the lock at a step."""

    LEAVE = "nothing"
    HOLD = "mine, or absent → held, for as long as the attempt can take; another's is left alone"
    RELEASE = "mine → freed"
    RELEASE_IF_OVER = "mine → freed, where a failure means that the job is not retried"
    FOLLOW = "mine → freed, or held for as long as the retry can wait, or the dead is kept"
    EXTEND = "mine → held, for as long as the copy, or this attempt, can take; never shortened"


TABLE: Mapping[Step, Mapping[Until, Act]] = {
    Step.FETCH: {"success": Act.HOLD, "start": Act.RELEASE, "expiry": Act.LEAVE},
    Step.ACK: {"success": Act.RELEASE, "start": Act.LEAVE, "expiry": Act.LEAVE},
    Step.ACK_LATE: {"success": Act.RELEASE_IF_OVER, "start": Act.LEAVE, "expiry": Act.LEAVE},
    # Of a job that has not started, for want of a handler say, the lock still stands.
    Step.FAIL: {"success": Act.FOLLOW, "start": Act.FOLLOW, "expiry": Act.LEAVE},
    # Of one that waits its turn, or whose lock could not be freed, it stands, too.
    Step.REQUEUE: {"success": Act.EXTEND, "start": Act.EXTEND, "expiry": Act.LEAVE},
}

# Seconds that a run lock lives until it is known to be taken, and its job is about to start: taken
# for a worker that hears nothing of it, it keeps the others waiting no longer.
RUN_LEASE = 30


def transition_for(
    step: Step, stamp: Stamp, job: dict[str, Any], delay: float = 0
) -> Transition | None:
    """What a step does to the lock of a fetched job; None where it leaves it alone.

    At FETCH that is nothing for a job that was replaced, which the reply tells; and one that itself
    replaces another takes its lock, unless its producer has seen to that.

    Args:
        step: what happens.
        stamp: the job's own.
        job: the payload as fetched.
        delay: of a put-back, seconds until the copy is due.
    """
    made = _change(TABLE[step][stamp.until], stamp, job, delay)
    if step is not Step.FETCH or not (stamp.replaceable or stamp.replaces):
        return made
    if made is None:
        return replace_transition_at_fetch(stamp, job)
    return made._replace(unless_replaced=stamp.owner, replaces=stamp.replaces)


def replace_transition_at_fetch(stamp: Stamp, job: dict[str, Any]) -> Transition:
    """FETCH of a job that can replace or be replaced, and is not to run yet, or has no more to do.

    Takes the place of the job that it replaces, if that is still there; the reply tells whether it
    is to step aside itself.
    """
    if stamp.replaces is None:
        return read_transition(stamp.key)._replace(unless_replaced=stamp.owner)
    fixed = stamp.until == "expiry" or not stamp.renew
    ttl = whole_seconds(stamp.ttl if fixed else attempt_seconds(stamp, job))
    place = Transition(stamp.key, (), held(stamp.owner), ttl)
    return place._replace(unless_replaced=stamp.owner, replaces=stamp.replaces)


def _change(act: Act, stamp: Stamp, job: dict[str, Any], delay: float) -> Transition | None:
    match act:
        case Act.HOLD:
            return hold_transition(stamp, job)
        case Act.EXTEND:
            # A worker that dies amid it leaves the job to its reservation: of one that has not
            # been held, that silence is covered by nothing else.
            return extend_transition(
                stamp, max(add_promotion_margin(delay) + stamp.ttl, attempt_seconds(stamp, job))
            )
        case Act.FOLLOW:
            return after_failure(stamp, job)
        case Act.RELEASE:
            return release_transition(stamp.key, stamp.owner)
        case Act.RELEASE_IF_OVER if ends_lock(stamp, failure_outcome(job)):
            return release_transition(stamp.key, stamp.owner)
        case _:
            return None


def hold_transition(stamp: Stamp, job: dict[str, Any]) -> Transition:
    """FETCH: mine, or absent → held for one attempt."""
    if not stamp.renew:
        # Its time runs from the push; all that is left to do is a confirm still missing.
        return confirm_transition(stamp.key, stamp.owner, stamp.ttl)
    ttl = whole_seconds(attempt_seconds(stamp, job))
    # It may be carried out late, when a put-back has given the lock a longer time. What is not
    # retried has a shorter one from here on.
    extends = failure_outcome(job) is FailureOutcome.RETRIED
    return Transition(stamp.key, (*_mine(stamp), None), held(stamp.owner), ttl, extends)


def extend_transition(stamp: Stamp, ttl: float) -> Transition | None:
    """Mine → held for some time more, never for less; None where its time is fixed."""
    if not stamp.renew:
        return None
    value = held(stamp.owner)
    return Transition(stamp.key, _mine(stamp), value, whole_seconds(ttl), extends=True)


def after_failure(stamp: Stamp, job: dict[str, Any]) -> Transition | None:
    """FAIL: what the failure means for the lock."""
    outcome = failure_outcome(job)
    if ends_lock(stamp, outcome):
        return release_transition(stamp.key, stamp.owner)
    if outcome is FailureOutcome.RETRIED:
        return extend_transition(stamp, latest_retry(failures_before(job)) + stamp.ttl)
    if not stamp.renew:
        return None
    return Transition(stamp.key, _mine(stamp), held(stamp.owner), whole_seconds(stamp.ttl))


def _mine(stamp: Stamp) -> tuple[str, str]:
    return leased(stamp.owner), held(stamp.owner)


def ends_lock(stamp: Stamp, outcome: FailureOutcome) -> bool:
    """Whether a failure with this outcome ends what the lock stands for."""
    if outcome is FailureOutcome.DEAD:
        return stamp.on_death == "release"
    return outcome is FailureOutcome.DROPPED


def attempt_seconds(stamp: Stamp, job: dict[str, Any]) -> float:
    """Seconds of the longest silence that a fetched job can honestly have.

    That it expires unreported, waits for its retry, and then in its queue; or, where death keeps
    the lock, that somebody brings it back from the dead.
    """
    match failure_outcome(job):
        case FailureOutcome.RETRIED:
            return expiry_noticed_after(job) + latest_retry(failures_before(job)) + stamp.ttl
        case FailureOutcome.DEAD if stamp.on_death == "keep":
            return expiry_noticed_after(job) + stamp.ttl
        case _:
            return expiry_noticed_after(job)


def acquire_transition(
    key: str, owner: str, lease: float, *, replaceable: bool = False
) -> Transition:
    """Before PUSH: absent → leased.

    An owner that was replaced once, and whose job would step aside for that, needs another name:
    the reply tells.
    """
    unless_replaced = owner if replaceable else None
    return Transition(
        key, (None,), leased(owner), whole_seconds(lease), unless_replaced=unless_replaced
    )


def renew_transition(key: str, owner: str, lease: float) -> Transition:
    """Before PUSH of a job whose own lease still stands, or has just run out: leased anew."""
    return Transition(key, (leased(owner), None), leased(owner), whole_seconds(lease))


def confirm_transition(key: str, owner: str, ttl: float) -> Transition:
    """PUSH accepted: leased by me → held. Anything else: leave it, the worker was faster."""
    return Transition(key, (leased(owner),), held(owner), whole_seconds(ttl))


def replace_transition(key: str, owner: str, replaced: str, ttl: float) -> Transition:
    """PUSH accepted of a job in another's place: his, or absent → held.

    Where he has his tombstone already, the worker was faster, or a third replaces him, too.
    """
    swap = Transition(key, (None,), held(owner), whole_seconds(ttl))
    return swap._replace(unless_replaced=owner, replaces=replaced, once=True)


def rollback_transition(key: str, owner: str) -> Transition:
    """PUSH refused or not sent: freed while still leased by me; never a lock that is held."""
    return Transition(key, (leased(owner),), None, 0)


def release_transition(key: str, owner: str) -> Transition:
    """The job is over: freed if mine, leased (a worker faster than its producer) or held."""
    return Transition(key, (leased(owner), held(owner)), None, 0)


def acquire_run_transition(key: str, token: str) -> Transition:
    """FETCH of an exclusive job: nobody runs → this attempt does, for a moment."""
    return Transition(run_key(key), (None,), token, RUN_LEASE)


def hold_run_transition(key: str, token: str, job: dict[str, Any]) -> Transition:
    """FETCH of an exclusive job, which is known to have its turn: for its reservation."""
    return Transition(run_key(key), (token,), token, expiry_noticed_after(job))


def release_run_transition(key: str, token: str) -> Transition:
    """ACK, FAIL or put-back of an exclusive job: whoever is next may run."""
    return Transition(run_key(key), (token,), None, 0)


def seconds_until_queued(due: datetime | None, now: datetime) -> float:
    """Seconds until a job pushed now is in its queue: 0 when it is due, else with the margin.

    Args:
        due: when the job is due, with a time zone; None for at once.
        now: the present, with a time zone.
    """
    return add_promotion_margin(seconds_until_due(due, now))


def seconds_until_due(due: datetime | None, now: datetime) -> float:
    """Seconds until a job pushed now is due: 0 when it is. For `due` and `now` see `seconds_until_queued`."""
    return 0.0 if due is None else max((due - now).total_seconds(), 0.0)


def add_promotion_margin(delay: float) -> float:
    """Seconds after which a job that is due in `delay` seconds is surely in its queue."""
    return delay + PROMOTION_MARGIN if delay > 0 else 0.0
