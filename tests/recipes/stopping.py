"""A middleware that stops at the FETCH of a job, so that its worker can be killed there."""

from __future__ import annotations

import sys
import time

from faktory_unique import Middleware

BEFORE = [8, 1]  # args of the job at which it stops before the lock is read
AFTER = [9, 1]  # args of the job at which it stops after that, before the decision is returned


class Stopping(Middleware):
    """The outermost middleware. A job that comes back afterwards has failed, and passes."""

    def fetch(self, job, call_next):
        failed_before = job.get("failure")
        if not failed_before and job["args"] == BEFORE:
            stop_at(job)
        decision = call_next(job)
        if not failed_before and job["args"] == AFTER:
            stop_at(job)
        return decision


def stop_at(job):
    sys.stdout.write(f"{job['args'][0]} {job['args'][1]} stopped\n")
    sys.stdout.flush()
    time.sleep(600)
