"""Producer process: pushes random jobs, one by one and in bulk, until SIGTERM."""

from __future__ import annotations

import itertools
import logging
import os
import random
import signal
import time

from faktory_unique import Client, Producer, StoreError, Unique
from faktory_unique.errors import FaktoryError
from faktory_unique.unique import batch
from tests.chaos.bugs import planted_bug
from tests.chaos.journal import Journal
from tests.chaos.settings import CHUNK_SIZE, POLICIES, key_of
from tests.chaos.trials import current_workload
from tests.chaos.workload import JOB_FIELD

_MAX_TRIES = 4
_RETRIED = ("unknown", "not_sent")


class JournaledPush:
    """A PUSHB in two steps, which journals what it sends: each jid, and the job that it replaces.

    Args:
        pending: the push.
        payloads: its jobs.
        journal: the journal of this process.
    """

    def __init__(self, pending, payloads, journal):
        self._pending = pending
        self._payloads = payloads
        self._journal = journal

    def send(self):
        for job in self._payloads:
            stamp = job["custom"]["unique"]
            self._journal.write(
                "sent",
                job=job["custom"][JOB_FIELD],
                jid=job["jid"],
                owner=stamp["owner"],
                key=stamp["key"],
                replaces=stamp.get("replaces"),
            )
        self._pending.send()

    def receive(self):
        return self._pending.receive()


class JournalingProducer(Producer):
    """A producer that journals each PUSHB, also while `Unique` works on several chunks.

    A middleware inside `Unique` would journal it, too, but would be given one chunk after another.
    """

    def __init__(self, client, journal, unique):
        super().__init__(client, [unique])
        self._journal = journal

    def _pending_push(self, payloads):
        return JournaledPush(super()._pending_push(payloads), payloads, self._journal)


class ProducerLoop:
    """Pushes jobs until it is stopped.

    Args:
        workload: which jobs are pushed, and how fast.
        rng: decides which jobs are pushed, and when.
        journal: the journal of this process.

    Attributes:
        stopped: whether `stop` was called.
    """

    def __init__(self, workload, rng, journal):
        self._workload = workload
        self._rng = rng
        self._journal = journal
        self._calls = itertools.count(1)
        self.stopped = False

    def stop(self, *_signal):
        """End `run` after the current push."""
        self.stopped = True

    def run(self, url, unique):
        """Connect, and push until stopped."""
        workload, rng = self._workload, self._rng
        with Client(url, timeout=workload.client_timeout) as client:
            producer = JournalingProducer(client, self._journal, unique)
            while not self.stopped:
                jobs = [workload.draw_job(rng) for _ in range(workload.draw_batch_size(rng))]
                self._push_until_known(producer, jobs)
                time.sleep(rng.uniform(*workload.pause))

    def _push_until_known(self, producer, jobs):
        """Push the same jobs again, a few times, while their outcome is unknown."""
        for _ in range(_MAX_TRIES):
            jobs = self._push(producer, jobs)
            if not jobs or self.stopped:
                return
            time.sleep(self._rng.uniform(0.1, 1.0))

    def _push(self, producer, jobs):
        """Push jobs, and return those to push again."""
        call = next(self._calls)
        for job in jobs:
            key = key_of(job.jobtype, job.args[0])
            self._journal.write("pushing", call=call, jid=job.jid, key=key, at=job.at)
        try:
            if len(jobs) == 1:
                results = (producer.push(jobs[0]),)
            else:
                results = producer.push_bulk(jobs).results
        except (FaktoryError, StoreError) as exc:
            results = getattr(exc, "results", ())
            self._journal.write("error", call=call, error=type(exc).__name__, message=str(exc))
        for result in results:
            self._journal.write(
                "result",
                call=call,
                jid=result.submitted_jid,
                key=result.key,
                status=result.status.value,
                result_jid=result.jid,
                confirmed=result.confirmed,
            )
        retried = {r.submitted_jid for r in results if r.status in _RETRIED}
        return [job for job in jobs if job.jid in retried]


def main():
    """Push as the environment says: `CHAOS_SEED` and the addresses."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    journal = Journal.of_this_process()
    rng = random.Random(os.environ["CHAOS_SEED"])
    loop = ProducerLoop(current_workload(), rng, journal)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, loop.stop)
    # One producer pushes unguarded while the store is unavailable.
    override = {"on_store_error": os.environ["CHAOS_ON_STORE_ERROR"]}
    policies = {name: policy.model_copy(update=override) for name, policy in POLICIES.items()}
    journal.write("up")
    batch.CHUNK_SIZE = CHUNK_SIZE
    with planted_bug(), Unique(policies=policies, hooks=[journal.write_event]) as unique:
        while not loop.stopped:
            try:
                loop.run(os.environ["FAKTORY_URL"], unique)
            except FaktoryError as exc:  # no connection at the start
                logging.getLogger().info("connecting again: %s", exc)
                time.sleep(0.3)
    journal.write("down")


if __name__ == "__main__":
    main()
