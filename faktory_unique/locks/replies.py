"""The meaning of a store's reply for a fetched job: event; run, drop, or requeue for how long.

A reply is the value that the lock had before the transition. Pure functions: `unique/job_lock`
emits the event and returns the decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from faktory_unique.events import EventName
from faktory_unique.middleware import Drop, Requeue

from .lifecycle import Step
from .transition import owner_of, replaced_by

if TYPE_CHECKING:
    from .stamp import Stamp
    from .transition import Transition

# Seconds until a job is due again if another job of its key is running. The server looks for due
# jobs every 5 s.
RUN_LOCK_RETRY = 5.0


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


def meaning_of_run_lock(token: str | None) -> Meaning:
    """Return the meaning of a run lock that was not acquired, or lapsed before it was held.

    Args:
        token: the value found, another attempt's token; None if the run lock lapsed.
    """
    lapsed = "the run lock lapsed before it was held"
    detail = lapsed if token is None else f"{jid_in_token(token)} runs"
    return Meaning(EventName.RUN_BLOCKED, detail, Requeue(RUN_LOCK_RETRY))


def jid_in_token(token: str) -> str:
    """Return the jid in the token of a run lock: the job that is running."""
    return token.rpartition(":")[0]


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
