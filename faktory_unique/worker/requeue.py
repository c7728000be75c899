"""The copy of a job that is requeued: the same work and stamp under a new jid, due later."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faktory_unique.middleware import Payload

# Fields that the copy does not keep: the server or `delay` sets them again.
_SET_AGAIN = {"at", "enqueued_at"}

# Fields of `custom` by which an Enterprise server would refuse the copy as a duplicate of its job.
_SERVER_UNIQUE = {"unique_for", "unique_until"}


def copy_due_in(job: Payload, delay: float, now: float) -> Payload:
    """Return the payload to push instead of a job.

    It keeps `failure`, so that spent retries still count, and the stamp, so that it keeps the job's
    lock.

    Args:
        job: the payload as fetched.
        delay: seconds until the copy is due; 0 for at once.
        now: seconds since the epoch, by the server's clock.
    """
    copy = {name: value for name, value in job.items() if name not in _SET_AGAIN}
    if custom := job.get("custom"):
        copy["custom"] = {n: v for n, v in custom.items() if n not in _SERVER_UNIQUE}
    copy["jid"] = uuid.uuid4().hex
    if delay > 0:
        copy["at"] = datetime.fromtimestamp(now + delay, UTC).isoformat()
    return copy
