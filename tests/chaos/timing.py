"""Time limits that the audit allows, in seconds: server tasks, the store, locks and attempts."""

from __future__ import annotations

from tests.chaos.settings import RESERVE_FOR, TTL

REAPER_SECONDS = 30
"""Time until the server notices an expired reservation (docs/design.md §5)."""

LATE_SECONDS = 10
"""How long after its reservation a job can be reported: no other worker can have it yet."""

PROMOTION_SECONDS = 10
"""Time until the server queues a job that is due (docs/design.md §5)."""

LONGEST_DELAY_SECONDS = 10 + PROMOTION_SECONDS
"""Longest wait of a scheduled job (at most 6 s ahead) or a requeued one (at most 10 s ahead)."""

STORE_SECONDS = 2.0
"""Longest time that the store has for one write, connecting included."""

REDIS_ROUNDING_SECONDS = 1.0
"""Redis counts TTLs in whole seconds, rounded up, from a moment within the write that set it."""

RUN_LOCK_SECONDS = RESERVE_FOR + 30
"""Time that a run lock is held, counted from the FETCH of its job at the earliest."""

RUN_LEASE_SECONDS = 30
"""Time for which a run lock is leased before it is held."""

TOMBSTONE_SECONDS = 90.0
"""Shortest life of a tombstone (`faktory_unique.locks.transition`)."""


def latest_retry_seconds(failures):
    """Return the seconds after which a job is certainly queued again after its failure number n.

    Args:
        failures: n, counted from 0.
    """
    return failures**4 + 15 + 29 * (failures + 1) + PROMOTION_SECONDS


def attempt_seconds(failures):
    """Return the longest silence that a fetched job can have after so many failures."""
    return RESERVE_FOR + REAPER_SECONDS + latest_retry_seconds(failures) + TTL
