"""What cells of replacing share: jobs that are pushed in each other's place, and their lock."""

from __future__ import annotations

import pytest

from faktory_unique import Middleware
from faktory_unique.locks.transition import held

# Of a job with retries left: reserve_for 60, its reaping, its first backoff, its queue.
ATTEMPT = 60 + 30 + (15 + 29 + 10) + 600

UNTIL = pytest.mark.parametrize("until", ["success", "start", "expiry"])

# What a lock is once its job has been fetched: the seconds for which it is held; None: freed.
FETCHED = pytest.mark.parametrize(
    ("until", "seconds"), [("success", ATTEMPT), ("start", None), ("expiry", 600)]
)


class After(Middleware):
    """Does something between PUSHB and the producer's swap."""

    def __init__(self, act):
        self.act = act

    def push(self, jobs, call_next):
        results = call_next(jobs)
        self.act()
        return results


def replacing(ground, until="success", **policy):
    return ground.unique(until=until, on_conflict="replace", **policy)


def old_and_new(ground, unique, *middleware):
    """The results of a job, in a queue of its own, and of one pushed in its place."""
    return ground.push(unique, queue="old"), ground.push(unique, *middleware)


def lock(ground, result):
    return ground.lock(result), ground.ttl(result)


def held_for(result, seconds):
    """A lock as `lock` tells it."""
    return (None, None) if seconds is None else (held(result.jid), seconds)
