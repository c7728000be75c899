"""What is wrong with a job, told before any lock is taken.

The rules are the server's (manager/manager.go:193-221, storage/redis.go:253,276 of Faktory 1.10),
but it checks a queue's name only when the job falls due: a future `at` with a bad name is answered
+OK and the job is lost later.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from faktory_unique.errors import InvalidJob

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUEUE_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_SHORTEST_JID = 8
_LONGEST_RESERVATION = 86_400


def check_job(job: dict[str, Any]) -> None:
    """Refuses a payload that Faktory would refuse, or would take and lose; args aside.

    Raises:
        InvalidJob: the message names the field and its value.
    """
    check_jobtype(job.get("jobtype"))
    jid = job.get("jid")
    if not isinstance(jid, str) or len(jid.encode("utf-8", "replace")) < _SHORTEST_JID:
        raise InvalidJob(f"jid: {jid!r} has fewer than {_SHORTEST_JID} bytes; leave it to Job")
    if not jid.isascii() and any("\ud800" <= sign <= "\udfff" for sign in jid):
        raise InvalidJob(
            f"jid: {jid!r} has a surrogate, which is not Unicode text; leave it to Job"
        )
    if jid.endswith("?"):
        # A lock's value is the jid, and the jid with a question mark while only leased.
        raise InvalidJob(f"jid: {jid!r} ends in '?', which marks a lease; choose another jid")
    if not isinstance(job.get("args"), list | tuple):
        raise InvalidJob("args: not a list; pass args=[…], empty where there are none")
    queue = job.get("queue")
    if queue and not is_queue_name(queue):
        raise InvalidJob(
            f"queue: {queue!r} is not a queue name; use letters, digits, '.', '_' and '-'"
        )
    reserve_for = job.get("reserve_for")
    if reserve_for is not None and reserve_for > _LONGEST_RESERVATION:
        raise InvalidJob(f"reserve_for: {reserve_for} is more than a day; at most 86400 seconds")
    custom = job.get("custom")
    if custom:
        check_json(custom, "custom")


def check_jobtype(jobtype: object) -> str:
    """The jobtype as it is.

    Raises:
        InvalidJob: it is none.
    """
    if not isinstance(jobtype, str) or not jobtype:
        raise InvalidJob(f"jobtype: {jobtype!r} is empty or no text; name what the job does")
    return jobtype


def check_json(value: object, name: str = "job") -> None:
    """Refuses what JSON cannot write at all.

    Raises:
        InvalidJob: the message has the name.
    """
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidJob(f"{name}: {exc}; pass JSON values") from exc


def is_queue_name(name: object) -> bool:
    """Whether the server takes this as the name of a queue."""
    return isinstance(name, str) and _QUEUE_NAME.fullmatch(name) is not None


def due_time(job: dict[str, Any]) -> datetime | None:
    """When the job is due in its queue; None when at once.

    Raises:
        InvalidJob: `at` is no RFC 3339 time.
    """
    at = job.get("at")
    if not at:
        return None
    try:
        time = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidJob(f"at: {at!r} is not RFC 3339; write for example '2026-01-31T09:00:00Z'")
    return time


def validated_queues(queues: Iterable[str]) -> list[str]:
    """The names of queues to fetch from, as a list.

    Raises:
        TypeError: it is one name.
        ValueError: there is none, or one that no queue can have; the message names it.
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
