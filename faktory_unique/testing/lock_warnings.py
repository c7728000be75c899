"""Locks that are not where a test thinks: said aloud, since it looks like duplicates of nothing."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from faktory_unique._environment import variable
from faktory_unique.locks.stamp import read_stamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from faktory_unique.middleware import Payload

    from .lock_view import Locks

log = logging.getLogger("faktory_unique")


class Strays:
    """Jobs that were pushed to a fake whose locks were taken in another store.

    A `Unique` that was made before `FAKTORY_UNIQUE_STORE` named the fake's locks the real work.

    Args:
        store_url: the address of the fake's store.
        asked_for: the keys of all locks that this store was ever to change.
    """

    def __init__(self, store_url: str, asked_for: AbstractSet[str]) -> None:
        self._store_url = store_url
        self._asked_for = asked_for
        self._jobtype: str | None = None

    def look_at(self, pushed: Sequence[Payload]) -> None:
        """Notes the first stray, where this fake is to capture all pushes.

        Not whether its lock is there: it can be freed by now, or the store away. Nor does a copy
        that is put back count, whose lock was taken when it was pushed first.
        """
        if self._jobtype is None and variable("FAKTORY_UNIQUE_STORE") == self._store_url:
            for job in pushed:
                stamp = read_stamp(job)
                if stamp and stamp.owner == job["jid"] and stamp.key not in self._asked_for:
                    self._jobtype = job["jobtype"]
                    break

    def warn(self) -> None:
        """Warns of it, once: when the fake is closed, where a warning breaks off nothing."""
        jobtype, self._jobtype = self._jobtype, None
        if jobtype is not None:
            warnings.warn(
                f"the lock of {jobtype!r} was not taken in this fake's store: its Unique was made "
                "before the fake, at import say, and locks in another store; make it in a function",
                stacklevel=2,
            )


def warn_of_a_lock_left_behind(done: Payload, locks: Locks) -> None:
    """Logs that a job is over and its lock stands: its worker had no `Unique` on the fake's store.

    Args:
        done: a job that was acknowledged.
        locks: those of the fake's store.
    """
    stamp = read_stamp(done)
    lock = locks.get(stamp.key) if stamp is not None else None
    if stamp is not None and lock is not None and lock.owner == stamp.owner:
        log.warning(
            "lock is left to its TTL: key=%s: the consumer's middleware has no Unique on this "
            "fake's store; make it within the fake's block",
            stamp.key,
        )
