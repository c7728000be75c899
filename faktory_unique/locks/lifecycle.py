"""The life of a lock (docs/design.md §5), pure: what each event changes, and for how long.

The rows before FETCH are alike whenever a lock is freed, and are functions. From FETCH on, `TABLE`
says what is done at each step for each `until`; `change` tells it as a `Change`, which the store
carries out. No clock and no I/O here.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from .keys import run_key
from .server_rules import PROMOTION_MARGIN, Outcome, failures_before, outcome, reserve, retry_wait
from .transition import Change, held, leased, look, whole_seconds

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
    PUT_BACK = "a copy of the job is about to be pushed in its stead"


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
    Step.PUT_BACK: {"success": Act.EXTEND, "start": Act.EXTEND, "expiry": Act.LEAVE},
}

# Seconds that a run lock lives until it is known to be taken, and its job is about to start: taken
# for a worker that hears nothing of it, it keeps the others waiting no longer.
RUN_LEASE = 30


def change(step: Step, stamp: Stamp, job: dict[str, Any], delay: float = 0) -> Change | None:
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
        return take_place(stamp, job)
    return made._replace(unless_gone=stamp.owner, replaces=stamp.replaces)


def take_place(stamp: Stamp, job: dict[str, Any]) -> Change:
    """FETCH of a job that can replace or be replaced, and is not to run yet, or has no more to do.

    Takes the place of the job that it replaces, if that is still there; the reply tells whether it
    is to step aside itself.
    """
    if stamp.replaces is None:
        return look(stamp.key)._replace(unless_gone=stamp.owner)
    fixed = stamp.until == "expiry" or not stamp.renew
    ttl = whole_seconds(stamp.ttl if fixed else attempt(stamp, job))
    place = Change(stamp.key, (), held(stamp.owner), ttl)
    return place._replace(unless_gone=stamp.owner, replaces=stamp.replaces)


def _change(act: Act, stamp: Stamp, job: dict[str, Any], delay: float) -> Change | None:
    match act:
        case Act.HOLD:
            return hold(stamp, job)
        case Act.EXTEND:
            # A worker that dies amid it leaves the job to its reservation: of one that has not
            # been held, that silence is covered by nothing else.
            return extend(stamp, max(with_margin(delay) + stamp.ttl, attempt(stamp, job)))
        case Act.FOLLOW:
            return follow(stamp, job)
        case Act.RELEASE:
            return release(stamp.key, stamp.owner)
        case Act.RELEASE_IF_OVER if is_over(stamp, outcome(job)):
            return release(stamp.key, stamp.owner)
        case _:
            return None


def hold(stamp: Stamp, job: dict[str, Any]) -> Change:
    """FETCH: mine, or absent → held for one attempt."""
    if not stamp.renew:
        # Its time runs from the push; all that is left to do is a confirm still missing.
        return confirm(stamp.key, stamp.owner, stamp.ttl)
    ttl = whole_seconds(attempt(stamp, job))
    # It may be carried out late, when a put-back has given the lock a longer time. What is not
    # retried has a shorter one from here on.
    extends = outcome(job) is Outcome.RETRIED
    return Change(stamp.key, (*_mine(stamp), None), held(stamp.owner), ttl, extends)


def extend(stamp: Stamp, ttl: float) -> Change | None:
    """Mine → held for some time more, never for less; None where its time is fixed."""
    if not stamp.renew:
        return None
    value = held(stamp.owner)
    return Change(stamp.key, _mine(stamp), value, whole_seconds(ttl), extends=True)


def follow(stamp: Stamp, job: dict[str, Any]) -> Change | None:
    """FAIL: what the failure means for the lock."""
    after_failure = outcome(job)
    if is_over(stamp, after_failure):
        return release(stamp.key, stamp.owner)
    if after_failure is Outcome.RETRIED:
        return extend(stamp, retry_wait(failures_before(job)) + stamp.ttl)
    if not stamp.renew:
        return None
    return Change(stamp.key, _mine(stamp), held(stamp.owner), whole_seconds(stamp.ttl))


def _mine(stamp: Stamp) -> tuple[str, str]:
    return leased(stamp.owner), held(stamp.owner)


def is_over(stamp: Stamp, after_failure: Outcome) -> bool:
    """Whether a failure with this outcome ends what the lock stands for."""
    if after_failure is Outcome.DEAD:
        return stamp.on_death == "release"
    return after_failure is Outcome.DROPPED


def attempt(stamp: Stamp, job: dict[str, Any]) -> float:
    """Seconds of the longest silence that a fetched job can honestly have.

    That it expires unreported, waits for its retry, and then in its queue; or, where death keeps
    the lock, that somebody brings it back from the dead.
    """
    match outcome(job):
        case Outcome.RETRIED:
            return reserve(job) + retry_wait(failures_before(job)) + stamp.ttl
        case Outcome.DEAD if stamp.on_death == "keep":
            return reserve(job) + stamp.ttl
        case _:
            return reserve(job)


def take(key: str, owner: str, lease: float, *, replaceable: bool = False) -> Change:
    """Before PUSH: absent → leased.

    An owner that was replaced once, and whose job would step aside for that, needs another name:
    the reply tells.
    """
    unless_gone = owner if replaceable else None
    return Change(key, (None,), leased(owner), whole_seconds(lease), unless_gone=unless_gone)


def renew(key: str, owner: str, lease: float) -> Change:
    """Before PUSH of a job whose own lease still stands, or has just run out: leased anew."""
    return Change(key, (leased(owner), None), leased(owner), whole_seconds(lease))


def confirm(key: str, owner: str, ttl: float) -> Change:
    """PUSH accepted: leased by me → held. Anything else: leave it, the worker was faster."""
    return Change(key, (leased(owner),), held(owner), whole_seconds(ttl))


def replace(key: str, owner: str, replaced: str, ttl: float) -> Change:
    """PUSH accepted of a job in another's place: his, or absent → held.

    Where he has his tombstone already, the worker was faster, or a third replaces him, too.
    """
    swap = Change(key, (None,), held(owner), whole_seconds(ttl))
    return swap._replace(unless_gone=owner, replaces=replaced, once=True)


def give_back(key: str, owner: str) -> Change:
    """PUSH refused or not sent: freed while still leased by me; never a lock that is held."""
    return Change(key, (leased(owner),), None, 0)


def release(key: str, owner: str) -> Change:
    """The job is over: freed if mine, leased (a worker faster than its producer) or held."""
    return Change(key, (leased(owner), held(owner)), None, 0)


def begin_run(key: str, token: str) -> Change:
    """FETCH of an exclusive job: nobody runs → this attempt does, for a moment."""
    return Change(run_key(key), (None,), token, RUN_LEASE)


def hold_run(key: str, token: str, job: dict[str, Any]) -> Change:
    """FETCH of an exclusive job, which is known to have its turn: for its reservation."""
    return Change(run_key(key), (token,), token, reserve(job))


def end_run(key: str, token: str) -> Change:
    """ACK, FAIL or put-back of an exclusive job: whoever is next may run."""
    return Change(run_key(key), (token,), None, 0)


def wait(due: datetime | None, now: datetime) -> float:
    """Seconds until a job pushed now is in its queue: 0 when it is due, else with the margin.

    Args:
        due: when the job is due, with a time zone; None for at once.
        now: the present, with a time zone.
    """
    return with_margin(delay(due, now))


def delay(due: datetime | None, now: datetime) -> float:
    """Seconds until a job pushed now is due: 0 when it is. For `due` and `now` see `wait`."""
    return 0.0 if due is None else max((due - now).total_seconds(), 0.0)


def with_margin(delay: float) -> float:
    """Seconds after which a job that is due in `delay` seconds is surely in its queue."""
    return delay + PROMOTION_MARGIN if delay > 0 else 0.0
