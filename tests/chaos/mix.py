"""What is pushed: jobs of three policies, a few of them due later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from faktory_unique import Job
from tests.chaos.settings import EXCLUSIVE, JOBTYPE, KEYS, REPLACE, RESERVE_FOR

JOB = "chaos_job"
"""Where a job's `custom` has the jid of the Job that it was pushed as."""

_DECK = (JOBTYPE, JOBTYPE, EXCLUSIVE, REPLACE)

# How often a job is due later, and in how many seconds. Those that replace each other come a moment
# later quite often: the newest runs, once it is quiet.
_LATER = {JOBTYPE: (0.15, 1, 6), EXCLUSIVE: (0.15, 1, 6), REPLACE: (0.4, 1, 2)}


def draw(rng):
    """A job to push."""
    jobtype = rng.choice(_DECK)
    args = [rng.randrange(KEYS[jobtype])]
    job = Job(jobtype=jobtype, args=args, reserve_for=RESERVE_FOR, retry=25)
    job.custom = {JOB: job.jid}
    often, soonest, latest = _LATER[jobtype]
    if rng.random() < often:
        due = datetime.now(UTC) + timedelta(seconds=rng.uniform(soonest, latest))
        job.at = due.isoformat()
    return job
