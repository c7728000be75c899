"""Deferred lock writes: until when a write that the store failed may still not be applied."""

from __future__ import annotations

import math

from tests.chaos.timing import STORE_SECONDS

# A worker retries its deferred writes every five seconds at the longest (docs/design.md 5.38).
_RETRY_SECONDS = 5.0 + STORE_SECONDS


def pending_until(history, process, failed):
    """Return until when a worker's write that failed may be pending; infinite if it never was made.

    A retry succeeds once no fault of Redis is left that follows the one before without a pause, and
    the worker is not stopped. If the worker exits before, the write is dropped: the lock lasts for
    its TTL.

    Args:
        history: the run's history.
        process: the worker.
        failed: when the store failed the write.
    """
    until = failed
    stops = [f for f in history.faults if f["kind"] == "stop" and f["victim"] == process]
    for fault in sorted([*history.redis_outages, *stops], key=lambda each: each["began"]):
        if fault["began"] <= until + _RETRY_SECONDS:
            until = max(until, fault["ended"])
    until += _RETRY_SECONDS
    return math.inf if history.exit_time(process) <= until else until
