"""A worker process: a Consumer whose middleware journals each step, with `Unique` within it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time

from faktory_unique import Client, Consumer, Middleware, Unique
from faktory_unique.errors import FaktoryError
from tests.chaos.handler import work
from tests.chaos.journal import Journal
from tests.chaos.settings import CLIENT_TIMEOUT, GRACE, POLICIES, SLOTS


class Journalling(Middleware):
    """Notes each step of each job before it is done, and what came of it."""

    def __init__(self, journal):
        self._journal = journal

    def fetch(self, job, call_next):
        self._journal.note("fetch", **_about(job), enqueued_at=job.get("enqueued_at"))
        decision = call_next(job)
        self._journal.note("fetch_answer", **_about(job), answer=type(decision).__name__)
        return decision

    def ack(self, job, call_next):
        return self._around("ack", job, call_next, job)

    def fail(self, job, error, call_next):
        return self._around("fail", job, call_next, job, error, error=error.errtype)

    def requeue(self, job, delay, call_next):
        # The copy says whose it is: nobody is told its jid.
        custom = {**job["custom"], "chaos_parent": job["jid"]}
        copied = {**job, "custom": custom}
        return self._around("requeue", job, call_next, copied, delay, delay=delay)

    def _around(self, what, job, call_next, *given, **more):
        self._journal.note(what, **_about(job), **more)
        answer = call_next(*given)
        self._journal.note(f"{what}_answer", **_about(job), answer=answer.value)
        return answer


def _about(job):
    stamp, failure = job["custom"]["unique"], job.get("failure")
    return {
        "jid": job["jid"],
        "owner": stamp["owner"],
        "key": stamp["key"],
        "failures": failure.get("retry_count", 0) + 1 if failure else 0,
        "parent": job["custom"].get("chaos_parent"),
        "replaces": stamp.get("replaces"),
    }


def main():
    """Works until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    journal = Journal.of_this_process()
    context = multiprocessing.get_context(os.environ["CHAOS_CONTEXT"])
    journal.note("up")
    with Unique(hooks=[journal.note_event]) as unique:
        while True:
            client = Client(role="consumer", timeout=CLIENT_TIMEOUT, beat_period=5)
            try:
                client.connect()
                break
            except FaktoryError as exc:
                logging.getLogger().info("again: %s", exc)
                time.sleep(0.3)
        with client:
            consumer = Consumer(
                client,
                concurrency=SLOTS,
                grace_period=GRACE,
                context=context,
                middleware=[Journalling(journal), unique],
            )
            for jobtype in POLICIES:
                consumer.register(jobtype, work)
            consumer.run()
    journal.note("down")


if __name__ == "__main__":
    main()
