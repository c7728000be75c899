"""The article's "Testing the Dead Job Queue".

On one point the article errs: `retry: 0` does not send a job to the dead queue, it drops it when it
fails. `retry: -1` is what sends it there at once. Nor does it take Faktory Pro to look or to clear:
`sizes` asks INFO, `clear` sends MUTATE, both of any Faktory.
"""

from __future__ import annotations

import pytest

from faktory_unique import Client, Job, Producer
from faktory_unique.testing import LocalConsumer, clear, running_consumer, sizes, wait_until_drained


def always_fails():
    raise RuntimeError("Always fails")


def job(**fields):
    return Job(jobtype="AlwaysFails", args=[], **fields)


class TestDeadJobQueueBehaviour:
    """RSpec.describe 'Dead job queue behavior', on a server with a worker of its own."""

    @pytest.fixture
    def client(self, server_url):
        with Client(server_url) as connected:
            yield connected

    @pytest.fixture
    def run_worker(self, server_url, client):
        """`run_worker_for`, for as long as there is work."""

        def run():
            with Client(server_url, role="consumer", worker_id="article-worker") as connected:
                consumer = LocalConsumer(connected)
                consumer.register("AlwaysFails", always_fails)
                with running_consumer(consumer):
                    wait_until_drained(client, ["default"])

        return run

    def test_records_job_in_dead_queue_after_exhausted_retries(self, client, run_worker):
        """With no retries to exhaust, which is `retry=-1`."""
        Producer(client).push(job(retry=-1))
        run_worker()
        assert sizes(client).dead == 1

    def test_drops_a_job_that_fails_with_retry_0(self, client, run_worker):
        Producer(client).push(job(retry=0))
        run_worker()
        now = sizes(client)
        assert (now.queues["default"], now.working, now.retries, now.dead) == (0, 0, 0, 0)

    def test_clears_the_dead_queue(self, client, run_worker):
        """`before { … }`, where the article finds no way."""
        Producer(client).push(job(retry=-1))
        run_worker()
        before = sizes(client).dead
        clear(client, "dead")
        assert (before, sizes(client).dead) == (1, 0)


class TestOnTheFake:
    """What a server would take an hour for, or does not show."""

    @pytest.fixture
    def consumer(self, faktory):
        new = faktory.consumer()
        new.register("AlwaysFails", always_fails)
        return new

    @pytest.fixture
    def push(self, faktory):
        return Producer(faktory.client()).push

    def test_a_job_is_dead_after_its_retries(self, faktory, consumer, push):
        push(job(retry=2))
        runs = 0
        while not faktory.dead:
            runs += len(faktory.drain(consumer))
            faktory.advance(days=1)
        assert runs == 3

    def test_a_dead_job_tells_what_it_died_of(self, faktory, consumer, push):
        push(job(retry=-1))
        faktory.drain(consumer)
        assert faktory.dead[0]["failure"]["message"] == "Always fails"

    def test_a_job_with_retry_0_leaves_nothing(self, faktory, consumer, push):
        push(job(retry=0))
        assert faktory.perform_one(consumer).error.message == "Always fails"
        assert (faktory.jobs, faktory.retries, faktory.dead) == ([], [], [])

    def test_a_dead_job_is_forgotten_after_180_days(self, faktory, consumer, push):
        push(job(retry=-1))
        faktory.drain(consumer)
        faktory.advance(days=179)
        assert len(faktory.dead) == 1
        faktory.advance(days=1, minutes=2)
        assert faktory.dead == []
