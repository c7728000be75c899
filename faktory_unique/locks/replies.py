"""The meaning of the reply to a fetched job's lock write: which event; run or drop the job.

A reply is the value that the lock had before the transition. Pure functions: `unique/job_lock`
emits the event and returns the decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from faktory_unique.events import EventName
from faktory_unique.middleware import Drop

from .lifecycle import Step
from .transition import owner_of, replaced_by

if TYPE_CHECKING:
    from faktory_unique.middleware import Requeue

    from .stamp import Stamp
    from .transition import Transition


class Meaning(NamedTuple):
    """The meaning of a reply.

    Attributes:
        event: the event to emit; None if there is nothing to report.
        detail: the event's detail.
        decision: what to do with the job instead of running it; None to go on.
    """

    event: EventName | None = None
    detail: str = ""
    decision: Drop | Requeue | None = None


NO_MEANING = Meaning()


def meaning_of(
    step: Step, stamp: Stamp, job: dict[str, Any], transition: Transition, found: str | None
) -> Meaning:
    """Return what the reply to a write of the job's own lock means.

    Args:
        step: the step at which the transition was sent.
        stamp: the job's stamp.
        job: the payload as fetched.
        transition: the transition that was sent.
        found: the reply: the value found, or a replaced marker.
    """
    successor = replaced_by(found)
    if successor is not None:
        # Only FETCH asks for it. At another step it is a value that is none of ours.
        return _superseded(successor) if step is Step.FETCH else NO_MEANING
    if transition.is_read_only:
        return NO_MEANING
    if transition.value is None:
        if transition.applied(found):
            return Meaning(EventName.RELEASED)
        if step is Step.FETCH and not _may_have_started(stamp, job):
            return _lapsed(found)
    elif step is Step.FETCH:
        return _meaning_of_hold(stamp, transition, found)
    return NO_MEANING


def _superseded(successor: str) -> Meaning:
    detail = f"replaced by {successor}"
    return Meaning(EventName.SUPERSEDED, detail, Drop(detail))


def _meaning_of_hold(stamp: Stamp, transition: Transition, found: str | None) -> Meaning:
    if transition.applied(found):
        if found is None:
            return Meaning(EventName.REACQUIRED)
        return Meaning(EventName.RENEWED if stamp.renew else EventName.CONFIRMED)
    is_own = found is not None and owner_of(found) == stamp.owner
    return NO_MEANING if is_own or stamp.until == "expiry" else _lapsed(found)


def _lapsed(found: str | None) -> Meaning:
    detail = "the lock had lapsed" if found is None else f"{owner_of(found)} has the lock"
    return Meaning(EventName.LAPSED, detail)


def _may_have_started(stamp: Stamp, job: dict[str, Any]) -> bool:
    """Return whether an earlier attempt may have released the lock: it failed or was requeued."""
    return bool(job.get("failure")) or job["jid"] != stamp.owner
