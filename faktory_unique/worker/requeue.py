"""The copy of a job that is put back: the same work under a new jid, due later."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faktory_unique.middleware import Payload

# Told anew by the server, or by `delay`.
_OF_THE_FIRST = {"at", "enqueued_at"}

# By these an Enterprise server would take the copy for a duplicate of the job it replaces.
_SERVER_UNIQUE = {"unique_for", "unique_until"}


def copy_due_in(job: Payload, delay: float, now: float) -> Payload:
    """The payload to push in a job's stead.

    Its `failure` stays, so that the retries spent stay spent, and its stamp, so that its lock is
    the job's.

    Args:
        job: the payload as fetched.
        delay: seconds until it is due; 0 for at once.
        now: seconds since the epoch, by the server's clock.
    """
    copy = {name: value for name, value in job.items() if name not in _OF_THE_FIRST}
    if custom := job.get("custom"):
        copy["custom"] = {n: v for n, v in custom.items() if n not in _SERVER_UNIQUE}
    copy["jid"] = uuid.uuid4().hex
    if delay > 0:
        copy["at"] = datetime.fromtimestamp(now + delay, UTC).isoformat()
    return copy
