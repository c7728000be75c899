"""Helpers for cells of `on_conflict="replace"`: push a job and the job that replaces it."""

from __future__ import annotations

import pytest

from faktory_unique import Middleware
from faktory_unique.locks.transition import held

# For a job with retries left: reserve_for 60, its reaping, its first backoff, its queue.
ATTEMPT = 60 + 30 + (15 + 29 + 10) + 600

UNTIL = pytest.mark.parametrize("until", ["success", "start"])

# The seconds for which the lock is held once its job has been fetched; None: it is released.
FETCHED = pytest.mark.parametrize(("until", "seconds"), [("success", ATTEMPT), ("start", None)])


class AfterPush(Middleware):
    """Calls `act` between PUSHB and the producer's swap."""

    def __init__(self, act):
        self.act = act

    def push(self, jobs, call_next):
        results = call_next(jobs)
        self.act()
        return results


def replacing(harness, until="success", **policy):
    return harness.unique(until=until, on_conflict="replace", **policy)


def push_old_and_new(harness, unique, *middleware):
    """Push a job in its own queue, and a job that replaces it. Return both results."""
    return harness.push(unique, queue="old"), harness.push(unique, *middleware)


def lock(harness, result):
    return harness.lock(result), harness.ttl(result)


def held_for(result, seconds):
    """Return a lock as `lock` returns it."""
    return (None, None) if seconds is None else (held(result.jid), seconds)
