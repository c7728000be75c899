"""What happened to a lock: values that are given to hooks.

A hook is any callable that takes an `Event`: for metrics, traces, an audit. It is called where the
event happens, in a producer's or a worker's own thread, and is to be quick.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger("faktory_unique")


class EventName(StrEnum):
    """What can happen to a lock.

    Of a push: `acquired` (leased), `duplicate` (another job has it), `confirmed` (held for as long
    as the job may wait), `push_unknown` (left to its lease), `unguarded` (pushed without a lock,
    the store being away, or the job to be replaced not yet confirmed), `observed` (another has it,
    and the policy does not enforce that), `key_failed` (no key could be made, and the policy does
    not enforce one). The last three are told before the send, which can come to nothing, so that a
    process which dies amid it hides nothing. Of a worker: `held` (for as long as the attempt can
    take), `reacquired` (it had lapsed, and was taken again), `lapsed` (it had, and the job runs
    without one), `superseded` (its job steps aside for one that was pushed in its place),
    `excluded` (another job of its key runs, and this one is put back), `requeue`, `unsupported_stamp`
    (of a later version: left alone). Of both: `released`, and `store_error` (a change that could
    not be made).
    """

    ACQUIRED = "acquired"
    DUPLICATE = "duplicate"
    CONFIRMED = "confirmed"
    PUSH_UNKNOWN = "push_unknown"
    UNGUARDED = "unguarded"
    OBSERVED = "observed"
    KEY_FAILED = "key_failed"
    RENEWED = "renewed"
    REACQUIRED = "reacquired"
    LAPSED = "lapsed"
    SUPERSEDED = "superseded"
    RUN_BLOCKED = "run_blocked"
    REQUEUED = "requeued"
    UNSUPPORTED_STAMP = "unsupported_stamp"
    RELEASED = "released"
    STORE_ERROR = "store_error"


class Event(NamedTuple):
    """Something that happened to a lock.

    Attributes:
        name: what.
        key: the Redis key of the lock.
        owner: the jid under which the work was first pushed: of the job that this is about.
        jid: the jid of that job as it is now; another than owner where it was pushed or put back
            anew.
        jobtype: its jobtype.
        told: what else there is to say, for people; never args.
    """

    name: EventName
    key: str
    owner: str
    jid: str
    jobtype: str
    detail: str = ""


Hook: TypeAlias = "Callable[[Event], None]"


class Hooks:
    """Gives events to hooks. A hook that raises is logged, and breaks nothing.

    Args:
        hooks: called in this order.
        wants: whether any of them makes something of the events of a name; None: of all.
    """

    def __init__(
        self, hooks: Iterable[Hook], wants: Callable[[EventName], bool] | None = None
    ) -> None:
        self._hooks = tuple(hooks)
        self._wants = wants

    def wants(self, name: EventName) -> bool:
        """Whether an event of this name is worth making.

        Of a push that goes well there are two, which are logged at DEBUG: most often by nobody.
        """
        return self._wants is None or self._wants(name)

    def emit(self, event: Event) -> None:
        """Gives an event to each hook, in their order."""
        for hook in self._hooks:
            try:
                hook(event)
            except Exception:  # whatever it is: a hook is the user's, and the job is not its own
                log.exception("the hook %r raised at %s of key=%s", hook, event.name, event.key)


# A duplicate is what the library is for, and the one event that a push returns no job for; a job
# that steps aside is the one that Faktory accepted and nobody runs. What is louder is an exception
# to the promise that one key has one live job.
_LEVELS = {
    EventName.DUPLICATE: logging.INFO,
    EventName.OBSERVED: logging.INFO,
    EventName.SUPERSEDED: logging.INFO,
    EventName.KEY_FAILED: logging.WARNING,
    EventName.UNSUPPORTED_STAMP: logging.WARNING,
    EventName.PUSH_UNKNOWN: logging.WARNING,
    EventName.UNGUARDED: logging.WARNING,
    EventName.REACQUIRED: logging.WARNING,
    EventName.LAPSED: logging.WARNING,
    EventName.STORE_ERROR: logging.WARNING,
}


def is_logged(name: EventName) -> bool:
    """Whether the events of a name are logged, as things stand."""
    return log.isEnabledFor(_LEVELS.get(name, logging.DEBUG))


def log_event(event: Event) -> None:
    """Logs an event under `faktory_unique`: `duplicate: jobtype=… jid=… key=… owner=…`."""
    level = _LEVELS.get(event.name, logging.DEBUG)
    if log.isEnabledFor(level):
        told = f": {event.detail}" if event.detail else ""
        log.log(
            level,
            "%s: jobtype=%s jid=%s owner=%s key=%s%s",
            event.name.value,
            event.jobtype,
            event.jid,
            event.owner,
            event.key,
            told,
        )
