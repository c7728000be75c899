"""A job can be acknowledged before its producer has confirmed the lock (facts §1)."""

from __future__ import annotations

import multiprocessing
import threading
import time

import pytest

from faktory_unique import Client, Job, Middleware, Policy, Producer, PushResult, PushStatus, Unique
from faktory_unique.locks.transition import read_transition
from faktory_unique.middleware import compose
from faktory_unique.worker.reservation import Reservation
from tests.patience import PATIENCE


class Worker(threading.Thread):
    """A worker with the shortest way from FETCH to the release after ACK: no child process."""

    def __init__(self, url, unique):
        super().__init__()
        self.acked = set()
        self.ending = threading.Event()
        self._url = url
        self._unique = unique

    def run(self):
        with Client(self._url, role="consumer", worker_id="fast-worker") as client:
            while not self.ending.is_set():
                since = time.monotonic(), time.time()
                job = client._fetch(["default"])
                if job is not None:
                    reservation = Reservation(client, job, since, self.ending)
                    compose([self._unique], "ack", reservation.ack)(job)
                    self.acked.add(job["jid"])


@pytest.fixture
def worker(faktory_url, redis_url):
    with Unique(store=redis_url, default=Policy()) as unique:
        started = Worker(faktory_url, unique)
        started.start()
        yield started
        started.ending.set()
        started.join(PATIENCE)


def spin(stop):
    while not stop.is_set():
        sum(range(1000))


@pytest.fixture
def cpu_load():
    """Keep both cores busy, so that either side can be first."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    busy = [context.Process(target=spin, args=(stop,), daemon=True) for _ in range(2)]
    for each in busy:
        each.start()
    yield
    stop.set()
    for each in busy:
        each.join(PATIENCE)


def test_a_thousand_races_leave_no_lock(faktory_url, redis_url, worker, wait_for, cpu_load):
    """Whichever side is first, the lock is released once both are done: 1000 of 1000."""
    with Unique(store=redis_url, default=Policy()) as unique, Client(faktory_url) as client:
        producer = Producer(client, middleware=[unique])
        left = []
        for n in range(1000):
            result = producer.push(Job(jobtype="Race", args=[n]))
            assert result.confirmed
            wait_for(lambda jid=result.jid: jid in worker.acked)
            left += unique._context.store.run([read_transition(result.key)])
    assert left == [None] * 1000


def test_a_late_confirm_changes_no_other_jobs_lock(faktory_url, redis_url, worker, wait_for):
    """Each job is acknowledged and its key acquired again before its confirm: 300 of 300."""
    seen = []
    other = Unique(store=redis_url, default=Policy(ttl=7))

    class AckedAndPushedAgain(Middleware):
        def push(self, jobs, call_next):
            results = call_next(jobs)
            wait_for(lambda: jobs[0]["jid"] in worker.acked)
            # Another producer acquires the released lock, and has not pushed its job yet.
            other.push([{**jobs[0], "jid": f"next-{jobs[0]['jid']}"}], unknown)
            return results

    def unknown(jobs):
        return [
            PushResult(status=PushStatus.UNKNOWN, jid=job["jid"], submitted_jid=job["jid"])
            for job in jobs
        ]

    with other, Unique(store=redis_url, default=Policy()) as unique, Client(faktory_url) as client:
        producer = Producer(client, middleware=[unique, AckedAndPushedAgain()])
        for n in range(300):
            result = producer.push(Job(jobtype="Race", args=[n]))
            seen.append(
                unique._context.store.run([read_transition(result.key)])[0] == f"next-{result.jid}?"
            )
    assert seen == [True] * 300
