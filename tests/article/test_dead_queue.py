"""The article's "Testing the Dead Job Queue".

The article is wrong in one point: with `retry: 0` a failed job is dropped, and does not go to the
dead queue. `retry: -1` sends it there at once. Faktory Pro is not needed to inspect or clear that
queue: `sizes` uses INFO and `clear` uses MUTATE, which any Faktory has.
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
    """RSpec.describe 'Dead job queue behavior', on a server, with a worker."""

    @pytest.fixture
    def client(self, server_url):
        with Client(server_url) as connected:
            yield connected

    @pytest.fixture
    def run_worker(self, server_url, client):
        """`run_worker_for`: run a worker until no jobs are left."""

        def run():
            with Client(server_url, role="consumer", worker_id="article-worker") as connected:
                consumer = LocalConsumer(connected)
                consumer.register("AlwaysFails", always_fails)
                with running_consumer(consumer):
                    wait_until_drained(client, ["default"])

        return run

    def test_records_job_in_dead_queue_after_exhausted_retries(self, client, run_worker):
        """`retry=-1` means that there are no retries to exhaust."""
        Producer(client).push(job(retry=-1))
        run_worker()
        assert sizes(client).dead == 1

    def test_drops_a_job_that_fails_with_retry_0(self, client, run_worker):
        Producer(client).push(job(retry=0))
        run_worker()
        left = sizes(client)
        assert (left.queues["default"], left.working, left.retries, left.dead) == (0, 0, 0, 0)

    def test_clears_the_dead_queue(self, client, run_worker):
        """`before { … }`, for which the article knows no way."""
        Producer(client).push(job(retry=-1))
        run_worker()
        before = sizes(client).dead
        clear(client, "dead")
        assert (before, sizes(client).dead) == (1, 0)


class TestOnTheFake:
    """Behaviour that takes an hour on a server, or that a server does not show."""

    @pytest.fixture
    def consumer(self, faktory):
        new = faktory.consumer()
        new.register("AlwaysFails", always_fails)
        return new

    @pytest.fixture
    def push(self, faktory):
        return Producer(faktory.client()).push

    def test_job_is_dead_after_its_retries(self, faktory, consumer, push):
        push(job(retry=2))
        runs = 0
        while not faktory.dead:
            runs += len(faktory.drain(consumer))
            faktory.advance(days=1)
        assert runs == 3

    def test_dead_job_has_its_error_message(self, faktory, consumer, push):
        push(job(retry=-1))
        faktory.drain(consumer)
        assert faktory.dead[0]["failure"]["message"] == "Always fails"

    def test_job_with_retry_0_leaves_nothing(self, faktory, consumer, push):
        push(job(retry=0))
        assert faktory.perform_one(consumer).error.message == "Always fails"
        assert (faktory.jobs, faktory.retries, faktory.dead) == ([], [], [])

    def test_dead_job_is_deleted_after_180_days(self, faktory, consumer, push):
        push(job(retry=-1))
        faktory.drain(consumer)
        faktory.advance(days=179)
        assert len(faktory.dead) == 1
        faktory.advance(days=1, minutes=2)
        assert faktory.dead == []
