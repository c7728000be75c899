"""Waiting until a Faktory has nothing left to do; for how long that may honestly take."""

from __future__ import annotations

import json
import time

from tests.chaos.settings import RESERVE_FOR
from tests.chaos.storage import stored

# What docs/design.md §5 allows for: the reaper's round, and a tick of the promotion.
_REAPING = 30
_PROMOTION = 10

_LATER = 3  # the longest that a handler has its job come back
_TURNS = 3 * (5 + _PROMOTION)  # for those before it to run, of those that exclude each other
_BACKLOG = 45  # to work off what is queued, on a machine that is busy
_STEADY = 6.0
_LOOK = 0.5


class NotQuietError(Exception):
    """The server has still something to do when all must be done."""


def latest_retry(failures):
    """Seconds after which a job is surely queued again, after failure number n (from 0)."""
    return failures**4 + 15 + 29 * (failures + 1) + _PROMOTION


def longest(jobs, now):
    """Seconds within which all these jobs must be done, there being no more faults.

    A job that is scheduled, or waits for its retry, has that to wait. One that is reserved may be
    nobody's: its reservation runs out, and its retry comes. Then it may fail for the first time,
    which only a job does that never has, and come back later once, and wait for its turn.
    """
    waits = [0.0]
    for job in jobs:
        if job.place == "working":
            waits.append(RESERVE_FOR + _REAPING + latest_retry(job.failures))
        elif job.score:
            waits.append(max(0.0, job.score - now) + _PROMOTION)
    return max(waits) + latest_retry(0) + _LATER + _PROMOTION + _TURNS + _BACKLOG


def wait_until_quiet(server, report):
    """Waits until nothing is queued, scheduled, in retries or working, and stays so for a while.

    Args:
        server: the Faktory.
        report: called, now and then, with what there is still to do.

    Returns:
        The seconds that it took.

    Raises:
        NotQuietError: it took too long.
    """
    bound = longest(stored(server), time.time())
    since = quiet_since = time.monotonic()
    while True:
        now = time.monotonic()
        left = _left(server)
        report(left, bound)
        if any(left.values()):
            quiet_since = now
            if now - since > bound:
                raise NotQuietError(f"after {bound:.0f} s the server has still {left}")
        elif now - quiet_since >= _STEADY:
            return now - since
        time.sleep(_LOOK)


def _left(server):
    told = json.loads(server.ask("INFO")[0])["faktory"]
    sets = {name: told["sets"][name] for name in ("scheduled", "retries", "working")}
    return {"queued": sum(told["queues"].values()), **sets}
