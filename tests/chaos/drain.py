"""Wait until Faktory has drained: no job queued, scheduled, in retries or working."""

from __future__ import annotations

import json
import time

from tests.chaos.settings import RESERVE_FOR
from tests.chaos.storage import stored_jobs
from tests.chaos.timing import PROMOTION_SECONDS, REAPER_SECONDS, latest_retry_seconds

_RETRY_LATER_SECONDS = 3  # the longest delay that a handler asks for
_BLOCKED_SECONDS = 3 * (5 + PROMOTION_SECONDS)  # an exclusive job waits for those before it
_BACKLOG_SECONDS = 45  # to run the queued jobs on a busy machine
_STEADY_SECONDS = 6.0
_POLL_SECONDS = 0.5


class NotDrainedError(Exception):
    """The server still has jobs when all must be done."""


def drain_bound(jobs, now):
    """Return the seconds within which all these jobs must be done if there are no more faults.

    A scheduled job, or one in retries, waits until it is due. A working job may belong to no
    worker: its reservation expires, and its retry becomes due. Each may then fail for the first
    time, which only a job without failures does, come back later once, and be blocked for a while.

    Args:
        jobs: `StoredJob`s.
        now: seconds since the epoch.
    """
    waits = [0.0]
    for job in jobs:
        if job.place == "working":
            waits.append(RESERVE_FOR + REAPER_SECONDS + latest_retry_seconds(job.failures))
        elif job.score:
            waits.append(max(0.0, job.score - now) + PROMOTION_SECONDS)
    later = _RETRY_LATER_SECONDS + PROMOTION_SECONDS
    return max(waits) + latest_retry_seconds(0) + later + _BLOCKED_SECONDS + _BACKLOG_SECONDS


def wait_until_drained(server, on_progress):
    """Wait until the server has no job to run for a while.

    Args:
        server: the `FaktoryServer`.
        on_progress: called repeatedly with the sizes and the bound in seconds.

    Returns:
        The seconds that it took.

    Raises:
        NotDrainedError: it took longer than the bound.
    """
    bound = drain_bound(stored_jobs(server), time.time())
    since = empty_since = time.monotonic()
    while True:
        now = time.monotonic()
        sizes = _sizes(server)
        on_progress(sizes, bound)
        if any(sizes.values()):
            empty_since = now
            if now - since > bound:
                raise NotDrainedError(f"the server still has {sizes} after {bound:.0f} s")
        elif now - empty_since >= _STEADY_SECONDS:
            return now - since
        time.sleep(_POLL_SECONDS)


def _sizes(server):
    state = json.loads(server.ask("INFO")[0])["faktory"]
    sets = {name: state["sets"][name] for name in ("scheduled", "retries", "working")}
    return {"queued": sum(state["queues"].values()), **sets}
