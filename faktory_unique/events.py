"""Events about locks (acquired, duplicate, released, …), their hooks, and how they are logged.

A hook is any callable that takes an `Event`: for metrics, traces or an audit. It is called when the
event happens, in the producer's or the worker's own thread, so it must be fast.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ._util import log, visible_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class EventName(StrEnum):
    """The name of an event.

    Events of a push:

    - `acquired`: the lock was acquired, as a lease.
    - `duplicate`: another job has the lock, and this one is not pushed.
    - `push_unknown`: no complete reply came, and the lock stays leased until it lapses.
    - `unguarded`: the job is pushed without a lock. The store is unavailable, or the job to replace
      is not confirmed yet.
    - `observed`: another job has the lock, and this one is pushed since the policy says
      `enforce=False`.
    - `key_failed`: no key could be computed, and the job is pushed since the policy says
      `enforce=False`.

    `unguarded`, `observed` and `key_failed` are emitted before the job is sent, and the send can
    still fail. So a process that dies during the send has hidden nothing.

    Events of a worker:

    - `renewed`: the lock is held for as long as the attempt may take.
    - `reacquired`: the lock had lapsed, and the job acquired it again.
    - `superseded`: a newer job replaced this one, which is acknowledged without being run.
    - `run_blocked`: another job with the same key is running, and this one is requeued.
    - `requeued`: a copy of the job was pushed, and the job is acknowledged.
    - `unsupported_stamp`: this version cannot read the stamp, or must not trust it; its lock is
      left alone.

    Events of both:

    - `confirmed`: Faktory has the job, and the lock is held for as long as the job may wait.
    - `lapsed`: the lock had lapsed, or another job has acquired it. The job runs without a lock.
    - `released`: the lock was released.
    - `store_error`: a lock could not be read or written. `detail` says what happens instead.
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
    """An event about one lock.

    Attributes:
        name: the kind of event.
        key: the Redis key of the lock.
        owner: the jid under which the job was first pushed. It is the lock's owner.
        jid: the job's present jid. It differs from the owner if the job was requeued, or pushed
            again.
        jobtype: the job's jobtype.
        detail: more about the event, for people to read. It never contains args.
    """

    name: EventName
    key: str
    owner: str
    jid: str
    jobtype: str
    detail: str = ""


Hook: TypeAlias = "Callable[[Event], None]"


class Hooks:
    """The hooks that get each event. A hook that raises is logged, and has no other effect.

    Args:
        hooks: the hooks, called in this order.
        wants: whether any hook uses the events of a name; None if all events are used.
    """

    def __init__(
        self, hooks: Iterable[Hook], wants: Callable[[EventName], bool] | None = None
    ) -> None:
        self._hooks = tuple(hooks)
        self._wants = wants

    def wants(self, name: EventName) -> bool:
        """Return whether any hook uses events of this name. If not, the event need not be built.

        A successful push has two events that are logged at DEBUG, which is usually off.
        """
        return self._wants is None or self._wants(name)

    def emit(self, event: Event) -> None:
        """Call each hook with the event. Its detail, which may contain foreign text, is escaped."""
        event = event._replace(detail=visible_text(event.detail))
        for hook in self._hooks:
            try:
                hook(event)
            except Exception:  # of any kind: a user's hook must not break the push or the job
                log.exception(
                    "hook failed: hook=%r event=%s key=%s", hook, event.name.value, event.key
                )


# INFO: after a `duplicate`, the pushed job is not on the server; after `superseded`, a job that
# Faktory accepted is not run. WARNING: an exception to the promise that one key has one live job.
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
    """Return whether events of this name are logged at the logger's present level."""
    return log.isEnabledFor(_LEVELS.get(name, logging.DEBUG))


def log_event(event: Event) -> None:
    """Log an event to the logger `faktory_unique`, if its level is enabled.

    The line is `duplicate: jobtype=… jid=… owner=… key=…: detail`.
    """
    level = _LEVELS.get(event.name, logging.DEBUG)
    if log.isEnabledFor(level):
        detail = f": {event.detail}" if event.detail else ""
        log.log(
            level,
            "%s: jobtype=%s jid=%s owner=%s key=%s%s",
            event.name.value,
            event.jobtype,
            event.jid,
            event.owner,
            event.key,
            detail,
        )
