"""The stamp: what the worker must know of a job's lock, carried in the job's own `custom`.

The worker never computes a key again: the server rewrites args (through float64), and its policies
may differ from the producer's. What the producer locked is what the worker frees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from faktory_unique.errors import InvalidJob

if TYPE_CHECKING:
    from faktory_unique.policy.policy import OnDeath, Until

# 1 knew of no jobs that exclude or replace each other; what it says is read as it was meant.
VERSION = 2

_FIELD = "unique"

_READABLE = (1, 2)  # tuples, like those below: what was written may be a list, which has no hash
_UNTILS = ("success", "start", "expiry")
_ON_DEATHS = ("release", "keep")


class Stamp(NamedTuple):
    """A job's lock, as `job["custom"]["unique"]` tells it.

    Attributes:
        key: the Redis key of the lock.
        owner: the jid under which the work was first pushed: the value of the lock.
        until: when the lock is freed; see `Policy`.
        ttl: seconds that the job may wait in its queue.
        renew: whether the lock's time is counted anew at FETCH; see `Policy`.
        on_death: what the death of the job does to the lock; see `Policy`.
        enforce: whether the job may be kept waiting for the sake of its lock; see `Policy`.
        exclusive: whether it may not run while another of its key does; see `Policy`.
        replaceable: whether it steps aside for a job that was pushed in its place.
        replaces: the owner of the job in whose place it was pushed, if any.
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

    def written_on(self, job: dict[str, Any]) -> dict[str, Any]:
        """A copy of the payload that bears this stamp; the payload itself is left as it is."""
        told = {
            "v": VERSION,
            "key": self.key,
            "owner": self.owner,
            "until": self.until,
            "ttl": self.ttl,
        }
        if self[-len(_USUAL_VALUES) :] != _USUAL_VALUES:  # of nearly all they are the same
            usual = _USUAL.items()
            told |= {n: getattr(self, n) for n, value in usual if getattr(self, n) != value}
        return {**job, "custom": {**(job.get("custom") or {}), _FIELD: told}}


# What a stamp leaves out where it is the usual, to be short: nearly all of them.
_USUAL = Stamp._field_defaults
_USUAL_VALUES = tuple(_USUAL.values())
_TOLD = ("v", *Stamp._fields)


def read_stamp(job: dict[str, Any]) -> Stamp | None:
    """The stamp that a payload bears; None without one, or with one this version cannot read."""
    written = _written(job)
    if written is None:
        return None
    told: list[Any] = list(map({**_USUAL, **written}.get, _TOLD))
    version, key, owner, until, ttl, renew, on_death, enforce, exclusive, replaceable, replaces = (
        told
    )
    if (
        # Not by `match`, which takes three times as long: a worker asks it twice of each job.
        (version in _READABLE and version is not True)
        and (isinstance(key, str) and key != "")
        and (isinstance(owner, str) and _is_owner(owner))
        and until in _UNTILS
        and (isinstance(ttl, int | float) and ttl >= 1 and ttl is not True)
        and on_death in _ON_DEATHS
        and all(isinstance(flag, bool) for flag in (renew, enforce, exclusive, replaceable))
        and (replaces is None or isinstance(replaces, str))
    ):
        return Stamp(
            *(key, owner, until, float(ttl), renew, on_death),
            *(enforce, exclusive, replaceable, replaces),
        )
    return None


def unsupported_stamp(job: dict[str, Any]) -> dict[str, Any] | None:
    """What stands in a stamp that this version cannot read; None without one, or where it can.

    Only what says which version it is of counts as a stamp: `custom["unique"]` can be the user's.
    """
    written = _written(job)
    return None if written is None or "v" not in written or read_stamp(job) else written


def without_stamp(job: dict[str, Any]) -> dict[str, Any]:
    """The payload without a stamp of whatever version, copied only where it bore one.

    A handler that pushes on with the `custom` it was given would send its own job's stamp along,
    and the new job's ACK would free a lock that is not its own.
    """
    written = _written(job)
    if written is None or "v" not in written:
        return job
    custom = {name: value for name, value in job["custom"].items() if name != _FIELD}
    return {**job, "custom": custom}


def refuse_another_use(job: dict[str, Any]) -> None:
    """Refuses a payload that has something else where its stamp is to be.

    Raises:
        InvalidJob: the message has its place.
    """
    custom = job.get("custom")
    if isinstance(custom, dict) and _FIELD in custom and "v" not in (_written(job) or ()):
        raise InvalidJob(
            f"custom.{_FIELD}: a name that is reserved for what the worker must know of the "
            "job's lock; give what you keep there another name"
        )


def _written(job: dict[str, Any]) -> dict[str, Any] | None:
    custom = job.get("custom")
    written = custom.get(_FIELD) if isinstance(custom, dict) else None
    return written if isinstance(written, dict) else None


def _is_owner(owner: str) -> bool:
    """Whether a lock can be this one's: another value would look like none, or like a lease."""
    return owner != "" and not owner.endswith("?")
