"""The hook that logs: one line an event, as loud as it deserves."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .events import EventName

if TYPE_CHECKING:
    from .events import Event

log = logging.getLogger("faktory_unique")

# A duplicate is what the library is for, and the one event that a push returns no job for; a job
# that steps aside is the one that Faktory accepted and nobody runs. What is louder is an exception
# to the promise that one key has one live job.
_LEVELS = {
    EventName.DUPLICATE: logging.INFO,
    EventName.OBSERVED: logging.INFO,
    EventName.SUPERSEDED: logging.INFO,
    EventName.KEY_ERROR: logging.WARNING,
    EventName.UNKNOWN_STAMP: logging.WARNING,
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
        told = f": {event.told}" if event.told else ""
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
