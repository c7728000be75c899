"""The stamp in `job["custom"]["unique"]`: key, owner and policy of a job's lock, for its worker.

The worker never computes a key: the server rewrites args (through float64), and the worker's
policies may differ from the producer's. It releases the lock that the producer acquired.

A payload comes from whoever may push to Faktory. So a stamp counts only if its key has the form of
our keys and all values are within bounds. Each write compares the owner besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from faktory_unique._durations import MAX_SECONDS
from faktory_unique._util import is_text
from faktory_unique.errors import InvalidJob
from faktory_unique.policy.policy import MAX_NAME_BYTES

from .keys import is_lock_key

if TYPE_CHECKING:
    from faktory_unique.policy.policy import OnDeath, Until

# Version 1 had no exclusive and no replacing jobs. Its stamps are read with that meaning.
VERSION = 2

_FIELD = "unique"

# These are tuples, not sets: the value in a payload may be a list, which has no hash.
_READABLE = (1, 2)
_UNTIL_VALUES = ("success", "start", "expiry")
_ON_DEATH_VALUES = ("release", "keep")


class Stamp(NamedTuple):
    """A job's lock, as its payload carries it.

    Attributes:
        key: the Redis key of the lock.
        owner: the jid under which the work was first pushed: the value of the lock.
        until: when the lock is released; see `Policy`.
        ttl: seconds that the job may wait in its queue.
        renew: whether the lock gets a new TTL at FETCH; see `Policy`.
        on_death: whether the lock is released or kept if the job dies; see `Policy`.
        enforce: whether the job may be requeued because of its lock; see `Policy`.
        exclusive: whether no other job of its key may run at the same time; see `Policy`.
        replaceable: whether a newer job of its key can replace it.
        replaces: the owner of the job that it replaces; None if it replaces none.
    """

    key: str
    owner: str
    until: Until
    ttl: float
    renew: bool = True
    on_death: OnDeath = "release"
    enforce: bool = True
    exclusive: bool = False
    replaceable: bool = False
    replaces: str | None = None

    def stamped_copy(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of the payload with this stamp; the payload itself does not change."""
        fields = {
            "v": VERSION,
            "key": self.key,
            "owner": self.owner,
            "until": self.until,
            "ttl": self.ttl,
        }
        if self[-len(_DEFAULT_VALUES) :] != _DEFAULT_VALUES:  # nearly all stamps have the defaults
            defaults = _DEFAULTS.items()
            fields |= {n: getattr(self, n) for n, value in defaults if getattr(self, n) != value}
        return {**job, "custom": {**(job.get("custom") or {}), _FIELD: fields}}


# A written stamp omits fields that have their default value, to be short.
_DEFAULTS = Stamp._field_defaults
_DEFAULT_VALUES = tuple(_DEFAULTS.values())
_NAMES = ("v", *Stamp._fields)


def read_stamp(job: dict[str, Any]) -> Stamp | None:
    """Return a payload's stamp; None if it has none, or if this version cannot read it."""
    fields = _stamp_fields(job)
    if fields is None:
        return None
    values: list[Any] = list(map({**_DEFAULTS, **fields}.get, _NAMES))
    version, key, owner, until, ttl, renew, on_death, enforce, exclusive, replaceable, replaces = (
        values
    )
    if (
        # Not by `match`, which takes three times as long: a worker does this twice for each job.
        (version in _READABLE and version is not True)
        and is_lock_key(key)
        and _is_owner(owner)
        and until in _UNTIL_VALUES
        and (isinstance(ttl, int | float) and 1 <= ttl <= MAX_SECONDS and ttl is not True)
        and on_death in _ON_DEATH_VALUES
        and all(isinstance(flag, bool) for flag in (renew, enforce, exclusive, replaceable))
        and (replaces is None or _is_owner(replaces))
    ):
        return Stamp(
            *(key, owner, until, float(ttl), renew, on_death),
            *(enforce, exclusive, replaceable, replaces),
        )
    return None


def unsupported_stamp(job: dict[str, Any]) -> dict[str, Any] | None:
    """Return the fields of a stamp that this version cannot read; None if there is none.

    Only a value with a version counts as a stamp: `custom["unique"]` can be the user's own.
    """
    fields = _stamp_fields(job)
    return None if fields is None or "v" not in fields or read_stamp(job) else fields


def without_stamp(job: dict[str, Any]) -> dict[str, Any]:
    """Return the payload without a stamp of any version. It is copied only if it had one.

    A handler may push a new job with the `custom` of the job that it runs. The new job would carry
    the stamp of the running job, and its ACK would release the running job's lock.
    """
    fields = _stamp_fields(job)
    if fields is None or "v" not in fields:
        return job
    custom = {name: value for name, value in job["custom"].items() if name != _FIELD}
    return {**job, "custom": custom}


def refuse_reserved_name(job: dict[str, Any]) -> None:
    """Refuse a payload that has a value other than a stamp in `custom["unique"]`.

    Raises:
        InvalidJob: it has such a value. The message names the field.
    """
    custom = job.get("custom")
    if isinstance(custom, dict) and _FIELD in custom and "v" not in (_stamp_fields(job) or ()):
        raise InvalidJob(
            f"custom.{_FIELD}: this name is reserved for the stamp of the job's lock; use another "
            "name for your own value"
        )


def _stamp_fields(job: dict[str, Any]) -> dict[str, Any] | None:
    """Return the dict in `custom["unique"]`, a stamp or not; None if there is none."""
    custom = job.get("custom")
    fields = custom.get(_FIELD) if isinstance(custom, dict) else None
    return fields if isinstance(fields, dict) else None


def _is_owner(owner: object) -> bool:
    """Return whether a value can be an owner: a jid, so without the `?` at the end of a lease."""
    return is_text(owner, MAX_NAME_BYTES) and owner != "" and not owner.endswith("?")
