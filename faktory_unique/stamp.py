"""The stamp: what the worker must know of a job's lock, carried in the job's own `custom`.

The worker never computes a key again: the server rewrites args (through float64), and its policies
may differ from the producer's. What the producer locked is what the worker frees.
"""

from __future__ import annotations

from typing import Any, NamedTuple

VERSION = 1

_FIELD = "unique"


class Stamp(NamedTuple):
    """A job's lock, as `job["custom"]["unique"]` tells it.

    Attributes:
        key: the Redis key of the lock.
        owner: the jid under which the work was first pushed: the value of the lock.
        until: when the lock is freed; "success" is the ACK.
        ttl: seconds that the job may wait in its queue.
    """

    key: str
    owner: str
    until: str
    ttl: float

    def written_on(self, job: dict[str, Any]) -> dict[str, Any]:
        """A copy of the payload that bears this stamp; the payload itself is left as it is."""
        custom = dict(job.get("custom") or {})
        custom[_FIELD] = {"v": VERSION, **self._asdict()}
        return {**job, "custom": custom}


def read_stamp(job: dict[str, Any]) -> Stamp | None:
    """The stamp that a payload bears; None without one, or with one this version cannot read."""
    custom = job.get("custom")
    written = custom.get(_FIELD) if isinstance(custom, dict) else None
    match written:
        case {
            "v": 1,
            "key": str(key),
            "owner": str(owner),
            "until": str(until),
            "ttl": int() | float() as ttl,
        }:
            return Stamp(key, owner, until, float(ttl))
        case _:
            return None


def without_stamp(job: dict[str, Any]) -> dict[str, Any]:
    """The payload without a stamp, copied only where it bore one.

    A handler that pushes on with the `custom` it was given would send its own job's stamp along,
    and the new job's ACK would free a lock that is not its own.
    """
    custom = job.get("custom")
    if not isinstance(custom, dict) or _FIELD not in custom:
        return job
    return {**job, "custom": {name: value for name, value in custom.items() if name != _FIELD}}
