"""What the jobs do: in a module of its own, since the worker's processes import it."""

from __future__ import annotations

import random
import time

from faktory_unique import RetryLater, current_job
from tests.chaos.journal import Journal


class FirstTimeError(Exception):
    """Some jobs fail at first."""


def work(_number):
    """Takes a while, fails at first or comes back later, as the jid decides, and journals it."""
    journal, job = Journal.of_this_process(), current_job()
    stamp = job["custom"]["unique"]
    who = {"jid": job["jid"], "owner": stamp["owner"], "key": stamp["key"]}
    journal.note("start", **who)
    chance = random.Random(job["jid"])
    fate = chance.random()
    time.sleep(chance.uniform(4, 6) if chance.random() < 0.04 else chance.uniform(0, 1) ** 2)
    # Bounded: a copy has another jid, and a job that has failed bears its failure.
    if fate < 0.08 and not job.get("failure"):
        journal.note("end", **who, outcome="failed")
        raise FirstTimeError
    if fate > 0.9 and job["jid"] == stamp["owner"] and not job.get("failure"):
        journal.note("end", **who, outcome="later")
        raise RetryLater(chance.randint(1, 3))
    journal.note("end", **who, outcome="done")
