"""Warnings about a `Unique` that has another store than the fake: tests would not see its locks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from faktory_unique._environment import variable
from faktory_unique._util import log
from faktory_unique.locks.stamp import read_stamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from faktory_unique.middleware import Payload

    from .lock_view import Locks


class ForeignLockDetector:
    """Detects jobs that were pushed to a fake, but have their locks in another store.

    A `Unique` that was made before `FAKTORY_UNIQUE_STORE` named the fake may lock real work.

    Args:
        store_url: the URL of the fake's store.
        requested_keys: the keys of all transitions that this store was ever asked to apply.
    """

    def __init__(self, store_url: str, requested_keys: AbstractSet[str]) -> None:
        self._store_url = store_url
        self._requested_keys = requested_keys
        self._jobtype: str | None = None

    def check(self, pushed: Sequence[Payload]) -> None:
        """Record the first such job, if `FAKTORY_UNIQUE_STORE` names this fake's store.

        The lock itself is not read: it may be released by now, or the store unavailable. A requeued
        copy does not count, since its lock was acquired at its first push.
        """
        if self._jobtype is None and variable("FAKTORY_UNIQUE_STORE") == self._store_url:
            for job in pushed:
                stamp = read_stamp(job)
                if stamp and stamp.owner == job["jid"] and stamp.key not in self._requested_keys:
                    self._jobtype = job["jobtype"]
                    break

    def warn(self) -> None:
        """Warn once, when the fake closes: a warning that is an error would abort a push."""
        jobtype, self._jobtype = self._jobtype, None
        if jobtype is not None:
            warnings.warn(
                f"the lock of {jobtype!r} was not acquired in this fake's store: its Unique was "
                "made before the fake (at import?) and has another store; make it in a function",
                stacklevel=2,
            )


def warn_if_locked(job: Payload, locks: Locks) -> None:
    """Log, if it is so, that an acknowledged job still has its lock: the worker has no `Unique`.

    Args:
        job: a job that was acknowledged.
        locks: the locks in the fake's store.
    """
    stamp = read_stamp(job)
    lock = locks.get(stamp.key) if stamp is not None else None
    if stamp is not None and lock is not None and lock.owner == stamp.owner:
        log.warning(
            "lock not released, stays until its TTL: key=%s; the consumer's middleware has no "
            "Unique on this fake's store, make one within the fake's block",
            stamp.key,
        )
