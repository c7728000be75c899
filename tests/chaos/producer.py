"""A producer process: pushes jobs of few keys, one by one and in bulk, until it is told to stop."""

from __future__ import annotations

import itertools
import logging
import os
import random
import signal
import time

from faktory_unique import Client, Middleware, Producer, StoreError, Unique
from faktory_unique.errors import FaktoryError
from tests.chaos.journal import Journal
from tests.chaos.mix import JOB, draw
from tests.chaos.settings import CLIENT_TIMEOUT, POLICIES, key_of

_TRIES = 4
_OPEN = ("unknown", "not_sent")


class Sending(Middleware):
    """Notes what goes out, within `Unique`: under which jid, and in whose place."""

    def __init__(self, journal):
        self._journal = journal

    def push(self, jobs, call_next):
        for job in jobs:
            stamp = job["custom"]["unique"]
            self._journal.note(
                *("sent",),
                job=job["custom"][JOB],
                jid=job["jid"],
                owner=stamp["owner"],
                key=stamp["key"],
                replaces=stamp.get("replaces"),
            )
        return call_next(jobs)


class Pushing:
    """What a producer does.

    Args:
        rng: decides what is pushed, and when.
        journal: of this process.
    """

    def __init__(self, rng, journal):
        self._rng = rng
        self._journal = journal
        self._calls = itertools.count(1)
        self.stopped = False

    def stop(self, *_signal):
        """Ends `run` when the push in hand is over."""
        self.stopped = True

    def run(self, url, unique):
        """Connects, and pushes until stopped."""
        with Client(url, timeout=CLIENT_TIMEOUT) as client:
            producer = Producer(client, middleware=[unique, Sending(self._journal)])
            while not self.stopped:
                jobs = [draw(self._rng) for _ in range(self._number())]
                self._push_until_known(producer, jobs)
                time.sleep(self._rng.uniform(0.02, 0.25))

    def _number(self):
        return self._rng.randint(2, 8) if self._rng.random() < 0.15 else 1

    def _push_until_known(self, producer, jobs):
        """Pushes the same jobs again while it is not known what became of them, a few times."""
        for _ in range(_TRIES):
            jobs = self._push(producer, jobs)
            if not jobs or self.stopped:
                return
            time.sleep(self._rng.uniform(0.1, 1.0))

    def _push(self, producer, jobs):
        """Pushes; the jobs whose end is open."""
        call = next(self._calls)
        for job in jobs:
            key = key_of(job.jobtype, job.args[0])
            self._journal.note("pushing", call=call, jid=job.jid, key=key, at=job.at)
        try:
            if len(jobs) == 1:
                results = (producer.push(jobs[0]),)
            else:
                results = producer.push_bulk(jobs).results
        except (FaktoryError, StoreError) as exc:
            results = getattr(exc, "results", ())
            self._journal.note("error", call=call, error=type(exc).__name__, said=str(exc))
        for result in results:
            self._journal.note(
                *("result",),
                call=call,
                jid=result.submitted_jid,
                key=result.key,
                status=result.status.value,
                stands=result.jid,
                confirmed=result.confirmed,
            )
        still_open = {r.submitted_jid for r in results if r.status in _OPEN}
        return [job for job in jobs if job.jid in still_open]


def main():
    """Pushes as the environment says: `CHAOS_SEED` and the addresses."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    journal = Journal.of_this_process()
    pushing = Pushing(random.Random(os.environ["CHAOS_SEED"]), journal)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pushing.stop)
    # One of them pushes unguarded where the store is away.
    away = {"on_store_error": os.environ["CHAOS_ON_STORE_ERROR"]}
    policies = {name: policy.model_copy(update=away) for name, policy in POLICIES.items()}
    journal.note("up")
    with Unique(policies=policies, hooks=[journal.note_event]) as unique:
        while not pushing.stopped:
            try:
                pushing.run(os.environ["FAKTORY_URL"], unique)
            except FaktoryError as exc:  # no connection at the start
                logging.getLogger().info("again: %s", exc)
                time.sleep(0.3)
    journal.note("down")


if __name__ == "__main__":
    main()
