"""Checks of a job before its push: jobtype, jid, args, queue, reserve_for, custom and `at`.

The rules are the server's (manager/manager.go:193-221, storage/redis.go:253,276 of Faktory 1.10).
They are checked here since the server checks a queue's name only when the job is due: it replies
+OK to a future `at` with a bad queue name, and loses the job later.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from faktory_unique._util import is_text, short_repr
from faktory_unique.errors import InvalidJob
from faktory_unique.policy.policy import MAX_NAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUEUE_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_MIN_JID_BYTES = 8
_MAX_RESERVATION_SECONDS = 86_400


def check_job(job: dict[str, Any]) -> None:
    """Check a payload, except the values of its args.

    Raises:
        InvalidJob: Faktory would refuse the job, or accept and lose it. The message names the field
            and its value.
    """
    check_jobtype(job.get("jobtype"))
    jid: object = job.get("jid")
    if not is_text(jid, MAX_NAME_BYTES) or len(jid.encode()) < _MIN_JID_BYTES:
        raise InvalidJob(
            f"jid: {short_repr(jid)} is not Unicode text of {_MIN_JID_BYTES} to {MAX_NAME_BYTES} "
            "bytes; let Job set it"
        )
    if jid.endswith("?"):
        # The value of a held lock is the jid. The value of a leased lock is the jid and "?".
        raise InvalidJob(
            f"jid: {short_repr(jid)} ends in '?', which marks a lease; choose another jid"
        )
    if not isinstance(job.get("args"), list | tuple):
        raise InvalidJob("args: not a list; pass args=[…], or args=[] for no arguments")
    queue = job.get("queue")
    if queue and not is_queue_name(queue):
        raise InvalidJob(
            f"queue: {short_repr(queue)} is not a queue name; use letters, digits, '.', '_' and '-'"
        )
    reserve_for = job.get("reserve_for")
    if reserve_for is not None and reserve_for > _MAX_RESERVATION_SECONDS:
        raise InvalidJob(
            f"reserve_for: {reserve_for} is more than a day; pass at most 86400 seconds"
        )
    custom = job.get("custom")
    if custom:
        check_json(custom, "custom")


def check_jobtype(jobtype: object) -> str:
    """Return the jobtype unchanged.

    Raises:
        InvalidJob: the jobtype is empty, too long, or not text.
    """
    if not is_text(jobtype, MAX_NAME_BYTES) or not jobtype:
        raise InvalidJob(
            f"jobtype: {short_repr(jobtype)} is not Unicode text of 1 to {MAX_NAME_BYTES} bytes; "
            "pass the name of a job"
        )
    return jobtype


def check_json(value: object, name: str = "job") -> None:
    """Check that json.dumps can write a value.

    Args:
        value: the value.
        name: the name of the value in the error.

    Raises:
        InvalidJob: json.dumps cannot write it, or only as NaN or Infinity, which are not JSON.
    """
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidJob(f"{name}: {exc}; pass JSON values") from exc


def is_queue_name(name: object) -> bool:
    """Return whether the server accepts this as the name of a queue."""
    return isinstance(name, str) and _QUEUE_NAME.fullmatch(name) is not None


def due_time(job: dict[str, Any]) -> datetime | None:
    """Return when the job is due in its queue, with a time zone; None if it is due at once.

    Raises:
        InvalidJob: `at` is not an RFC 3339 time.
    """
    at = job.get("at")
    if not at:
        return None
    try:
        time = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidJob(
            f"at: {short_repr(at)} is not RFC 3339; write for example '2026-01-31T09:00:00Z'"
        )
    return time


def validated_queues(queues: Iterable[str]) -> list[str]:
    """Return the names of the queues to fetch from, as a list.

    Raises:
        TypeError: `queues` is a single str.
        ValueError: the list is empty, or a name is not allowed. The message shows it.
    """
    if isinstance(queues, str):
        raise TypeError(f"queues is a list of names: pass [{queues!r}]")
    names = list(queues)
    wrong = [name for name in names if not is_queue_name(name)]
    if wrong or not names:
        raise ValueError(
            f"queues: {wrong or 'none'}; name at least one, of letters, digits and ._-"
        )
    return names
