"""Locks that are not where a test thinks: said aloud, since it looks like duplicates of nothing."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from faktory_unique.stamp import read_stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faktory_unique.chain import Payload

    from .locks import Locks

log = logging.getLogger("faktory_unique")


def warn_of_locks_elsewhere(pushed: Sequence[Payload], locks: Locks) -> None:
    """Warns where jobs were pushed to a fake whose locks were taken in another store.

    A `Unique` that was made before `FAKTORY_UNIQUE_STORE` named the fake's locks the real work.

    Args:
        pushed: jobs that the fake has just taken.
        locks: those of its store.
    """
    for job in pushed:
        stamp = read_stamp(job)
        if stamp is not None and stamp.key not in locks:
            warnings.warn(
                f"the lock of {job['jobtype']!r} is not in this fake's store: its Unique was made "
                "before the fake, at import say, and locks in another store; make it in a function",
                stacklevel=2,
            )
            return


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
