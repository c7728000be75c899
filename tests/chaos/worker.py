"""Worker process: a Consumer with `Unique`, and a middleware that journals each step."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time

from faktory_unique import Client, Consumer, Middleware, Unique
from faktory_unique.errors import FaktoryError
from tests.chaos.bugs import planted_bug
from tests.chaos.handler import handle
from tests.chaos.journal import Journal
from tests.chaos.settings import CONCURRENCY, GRACE_PERIOD, POLICIES
from tests.chaos.trials import current_workload
from tests.chaos.wire import PARENT_FIELD


class StepJournal(Middleware):
    """Journals each step of each job before it is done, and its result after it."""

    def __init__(self, journal):
        self._journal = journal

    def fetch(self, job, call_next):
        self._journal.write("fetch", **_fields(job), enqueued_at=job.get("enqueued_at"))
        decision = call_next(job)
        self._journal.write("fetch_decision", **_fields(job), decision=type(decision).__name__)
        return decision

    def ack(self, job, call_next):
        return self._report("ack", job, call_next, job)

    def fail(self, job, error, call_next):
        final = _fields(job)["failures"] >= job["retry"]
        return self._report("fail", job, call_next, job, error, error=error.errtype, final=final)

    def requeue(self, job, delay, call_next):
        # The copy names its parent, since the worker does not know the copy's jid.
        custom = {**job["custom"], PARENT_FIELD: job["jid"]}
        copied = {**job, "custom": custom}
        return self._report("requeue", job, call_next, copied, delay, delay=delay)

    def _report(self, type_, job, call_next, *arguments, **more):
        self._journal.write(type_, **_fields(job), **more)
        status = call_next(*arguments)
        self._journal.write(f"{type_}_status", **_fields(job), status=status.value)
        return status


def _fields(job):
    stamp, failure = job["custom"]["unique"], job.get("failure")
    return {
        "jid": job["jid"],
        "owner": stamp["owner"],
        "key": stamp["key"],
        "failures": failure.get("retry_count", 0) + 1 if failure else 0,
        "parent": job["custom"].get(PARENT_FIELD),
        "replaces": stamp.get("replaces"),
    }


def main():
    """Run jobs until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    journal = Journal.of_this_process()
    context = multiprocessing.get_context(os.environ["CHAOS_CONTEXT"])
    journal.write("up")
    timeout = current_workload().client_timeout
    with planted_bug(), Unique(hooks=[journal.write_event]) as unique:
        while True:
            client = Client(role="consumer", timeout=timeout, beat_period=5)
            try:
                client.connect()
                break
            except FaktoryError as exc:
                logging.getLogger().info("connecting again: %s", exc)
                time.sleep(0.3)
        with client:
            consumer = Consumer(
                client,
                concurrency=CONCURRENCY,
                grace_period=GRACE_PERIOD,
                context=context,
                middleware=[StepJournal(journal), unique],
            )
            for jobtype in POLICIES:
                consumer.register(jobtype, handle)
            consumer.run()
    journal.write("down")


if __name__ == "__main__":
    main()
