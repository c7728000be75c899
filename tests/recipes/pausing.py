"""A middleware that stands still at a job's FETCH, for its worker to be killed there."""

from __future__ import annotations

import sys
import time

from faktory_unique import Middleware

BEFORE = [8, 1]  # args of the job at which it stands before its lock is looked at
AFTER = [9, 1]  # and once that has been, before what was found is acted on


class Pausing(Middleware):
    """Stands outermost. A job that comes again after that, as a failed one, passes."""

    def fetch(self, job, call_next):
        again = job.get("failure")
        if not again and job["args"] == BEFORE:
            stand_still(job)
        answer = call_next(job)
        if not again and job["args"] == AFTER:
            stand_still(job)
        return answer


def stand_still(job):
    sys.stdout.write(f"{job['args'][0]} {job['args'][1]} stands\n")
    sys.stdout.flush()
    time.sleep(600)
