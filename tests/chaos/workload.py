"""Workload: how many processes push and run which jobs, and how the handlers of these jobs end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from faktory_unique import Job
from tests.chaos.settings import CLIENT_TIMEOUT, EXCLUSIVE, JOBTYPE, REPLACE, RESERVE_FOR

if TYPE_CHECKING:
    from collections.abc import Mapping

JOB_FIELD = "chaos_job"
"""The field of a job's `custom` with the jid of the caller's Job."""

RETRIES = 25
"""Retries of a job that is not to die; a job with fewer fails at each attempt."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What producers push, and what handlers do. The default is that of `make chaos`.

    Attributes:
        producers: number of producer processes.
        workers: number of worker processes.
        jobtypes: of each push one is drawn.
        keys: by jobtype, the number of keys: few, so that equal jobs meet.
        pause: least and most seconds between two pushes of a producer.
        bulk_share: the share of pushes that are bulks.
        bulk_sizes: least and most jobs of a bulk.
        scheduled: by jobtype, the share of scheduled jobs, and in how many seconds they are due.
            Jobs that replace each other are often due a moment later: then the newest one runs.
        retries: of each job one is drawn.
        runs: least and most seconds of a handler, drawn with many short ones.
        long_share: the share of handlers that outlast their worker's grace period.
        failing: the share of jobs that fail at their first attempt.
        later: the share of jobs that ask to be retried later.
        client_timeout: seconds that a client waits for a reply.
    """

    producers: int = 3
    workers: int = 3
    jobtypes: tuple[str, ...] = (JOBTYPE, JOBTYPE, EXCLUSIVE, REPLACE)
    keys: Mapping[str, int] = field(
        default_factory=lambda: {JOBTYPE: 40, EXCLUSIVE: 5, REPLACE: 10}
    )
    pause: tuple[float, float] = (0.02, 0.25)
    bulk_share: float = 0.15
    bulk_sizes: tuple[int, int] = (2, 8)
    scheduled: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            JOBTYPE: (0.15, 1, 6),
            EXCLUSIVE: (0.15, 1, 6),
            REPLACE: (0.4, 1, 2),
        }
    )
    retries: tuple[int, ...] = (RETRIES,)
    runs: tuple[float, float] = (0, 1)
    long_share: float = 0.04
    failing: float = 0.08
    later: float = 0.1
    client_timeout: float = CLIENT_TIMEOUT

    def draw_job(self, rng):
        """Return a random job."""
        jobtype = rng.choice(self.jobtypes)
        args = [rng.randrange(self.keys[jobtype])]
        retry = rng.choice(self.retries)
        job = Job(jobtype=jobtype, args=args, reserve_for=RESERVE_FOR, retry=retry)
        job.custom = {JOB_FIELD: job.jid}
        share, soonest, latest = self.scheduled.get(jobtype, (0, 0, 0))
        if rng.random() < share:
            due = datetime.now(UTC) + timedelta(seconds=rng.uniform(soonest, latest))
            job.at = due.isoformat()
        return job

    def draw_batch_size(self, rng):
        """Return how many jobs are pushed at once."""
        return rng.randint(*self.bulk_sizes) if rng.random() < self.bulk_share else 1

    def draw_run_seconds(self, rng):
        """Return how long a handler takes."""
        least, most = self.runs
        is_long = rng.random() < self.long_share
        return rng.uniform(4, 6) if is_long else least + (most - least) * rng.uniform(0, 1) ** 2
