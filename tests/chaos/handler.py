"""Handler of the chaos jobs, in a module of its own: the worker's child processes import it."""

from __future__ import annotations

import random
import time

from faktory_unique import RetryLater, current_job
from tests.chaos.journal import Journal
from tests.chaos.trials import current_workload
from tests.chaos.wire import PARENT_FIELD
from tests.chaos.workload import RETRIES


class AttemptError(Exception):
    """Some jobs fail, most of them at their first attempt only."""


def handle(_number):
    """Sleep, then succeed, fail or retry later, as the jid decides; journal start and end."""
    journal, job, workload = Journal.of_this_process(), current_job(), current_workload()
    stamp = job["custom"]["unique"]
    fields = {"jid": job["jid"], "owner": stamp["owner"], "key": stamp["key"]}
    journal.write("start", **fields)
    rng = random.Random(job["jid"])
    draw = rng.random()
    time.sleep(workload.draw_run_seconds(rng))
    # This ends: a requeued copy names its parent, and a job that failed has its failure.
    is_first = not job.get("failure")
    if job["retry"] < RETRIES or (draw < workload.failing and is_first):
        journal.write("end", **fields, outcome="failed")
        raise AttemptError
    if draw >= 1 - workload.later and is_first and PARENT_FIELD not in job["custom"]:
        journal.write("end", **fields, outcome="later")
        raise RetryLater(rng.randint(1, 3))
    journal.write("end", **fields, outcome="done")
