"""Handler of the chaos jobs, in a module of its own: the worker's child processes import it."""

from __future__ import annotations

import random
import time

from faktory_unique import RetryLater, current_job
from tests.chaos.journal import Journal


class FirstAttemptError(Exception):
    """Some jobs fail at their first attempt."""


def handle(_number):
    """Sleep, then succeed, fail or retry later, as the jid decides; journal start and end."""
    journal, job = Journal.of_this_process(), current_job()
    stamp = job["custom"]["unique"]
    fields = {"jid": job["jid"], "owner": stamp["owner"], "key": stamp["key"]}
    journal.write("start", **fields)
    rng = random.Random(job["jid"])
    draw = rng.random()
    time.sleep(rng.uniform(4, 6) if rng.random() < 0.04 else rng.uniform(0, 1) ** 2)
    # This ends: a requeued copy has another jid, and a job that failed has its failure.
    if draw < 0.08 and not job.get("failure"):
        journal.write("end", **fields, outcome="failed")
        raise FirstAttemptError
    if draw > 0.9 and job["jid"] == stamp["owner"] and not job.get("failure"):
        journal.write("end", **fields, outcome="later")
        raise RetryLater(rng.randint(1, 3))
    journal.write("end", **fields, outcome="done")
