"""Workload: random jobs of the three policies, some of them scheduled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from faktory_unique import Job
from tests.chaos.settings import EXCLUSIVE, JOBTYPE, KEY_COUNTS, REPLACE, RESERVE_FOR

JOB_FIELD = "chaos_job"
"""The field of a job's `custom` with the jid of the caller's Job."""

_JOBTYPES = (JOBTYPE, JOBTYPE, EXCLUSIVE, REPLACE)

# The share of scheduled jobs, and in how many seconds they are due. Jobs that replace each other
# are often due a moment later: then the newest one runs.
_SCHEDULED = {JOBTYPE: (0.15, 1, 6), EXCLUSIVE: (0.15, 1, 6), REPLACE: (0.4, 1, 2)}


def draw_job(rng):
    """Return a random job."""
    jobtype = rng.choice(_JOBTYPES)
    args = [rng.randrange(KEY_COUNTS[jobtype])]
    job = Job(jobtype=jobtype, args=args, reserve_for=RESERVE_FOR, retry=25)
    job.custom = {JOB_FIELD: job.jid}
    share, soonest, latest = _SCHEDULED[jobtype]
    if rng.random() < share:
        due = datetime.now(UTC) + timedelta(seconds=rng.uniform(soonest, latest))
        job.at = due.isoformat()
    return job
