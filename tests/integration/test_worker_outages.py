"""Outages of Faktory and Redis during a worker's run: no job lost, no lock left, no hang."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import pytest
from redis import Redis

from faktory_unique import Client, Consumer, Job, Policy, Producer, Unique
from faktory_unique.testing import running_consumer
from tests.integration import handlers
from tests.integration.conftest import SPAWN
from tests.patience import PATIENCE


class Outage:
    """A worker and a producer with their own servers, and all events of their locks."""

    def __init__(self, faktory, redis, unique):
        self.faktory, self.redis, self.unique = faktory, redis, unique
        self.seen = []

    def locks(self):
        with Redis.from_url(self.redis.url) as server:
            return server.keys("*")

    @contextmanager
    def working(self, **options):
        with Client(self.faktory.url, role="consumer", worker_id="outage-worker") as client:
            options = {"concurrency": 2, "context": SPAWN, "grace_period": 10, **options}
            consumer = Consumer(client, middleware=[self.unique], **options)
            consumer.register("note", handlers.note)
            consumer.register("note_slowly", handlers.note_slowly)
            with running_consumer(consumer):  # and raises what `run` does
                yield consumer


@pytest.fixture
def outage(new_redis, new_faktory):
    faktory, redis = new_faktory(), new_redis()
    seen = []
    policy = Policy(ttl=600, lease=20)
    with Unique(store=redis.url, default=policy, hooks=[seen.append]) as unique:
        outage = Outage(faktory, redis, unique)
        outage.seen = seen
        yield outage


# Seconds until a job is back that a FETCH was bringing when the server ended: a reservation of 60,
# a round of 15, a backoff of 44 and another round.
STRANDED = 150


@pytest.mark.long
def test_a_restart_of_faktory_loses_no_job_and_leaves_no_lock(outage, notes, wait_for, caplog):
    """The producer is idle and the consumer busy. Neither logs an error."""
    number = 120
    with Client(outage.faktory.url) as client:
        producer = Producer(client, middleware=[outage.unique])
        jobs = [
            Job(jobtype="note", args=[notes.path, f"ran-{n}"], reserve_for=60)
            for n in range(number)
        ]
        assert len(producer.push_bulk(jobs).pushed) == number
        with outage.working():
            for share in (0.25, 0.5, 0.75):
                wait_for(lambda share=share: len(notes()) >= share * number)
                outage.faktory.restart()
            assert producer.push(Job(jobtype="note", args=[notes.path, "after"]))
            expected = {"after", *(f"ran-{n}" for n in range(number))}
            wait_for(lambda: set(notes()) == expected, STRANDED + PATIENCE)
            wait_for(lambda: outage.locks() == [], STRANDED + PATIENCE)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_jobs_running_when_faktory_is_killed_are_reported_later(outage, notes, wait_for, caplog):
    """The queue is empty: Faktory itself loses a job that it has popped and not yet reserved."""
    with Client(outage.faktory.url) as client, outage.working():
        producer = Producer(client, middleware=[outage.unique])
        for seconds in (1.5, 1.6):
            producer.push(Job(jobtype="note_slowly", args=[notes.path, seconds]))
        wait_for(lambda: notes().count("started") == 2)
        outage.faktory.kill()
        outage.faktory.start()
        wait_for(lambda: notes().count("ended") == 2)
        wait_for(lambda: outage.locks() == [])
        assert client.info()["faktory"]["sets"]["working"] == 0
        assert producer.push(Job(jobtype="note", args=[notes.path, "after"]))
        wait_for(lambda: "after" in notes())
        wait_for(lambda: outage.locks() == [])
    assert notes().count("started") == 2
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_locks_are_released_later_if_redis_is_down(outage, notes, wait_for, how):
    """Meanwhile jobs run, and their results are reported."""
    with Client(outage.faktory.url) as client, outage.working():
        producer = Producer(client, middleware=[outage.unique])
        producer.push(Job(jobtype="note_slowly", args=[notes.path, 1.0]))
        producer.push(Job(jobtype="note_slowly", args=[notes.path, 1.1]))
        producer.push(Job(jobtype="note", args=[notes.path, "last"]))
        wait_for(lambda: notes().count("started") == 2)
        getattr(outage.redis, how)()
        wait_for(lambda: notes().count("ended") == 2 and "last" in notes())
        wait_for(lambda: not client.info()["faktory"]["sets"]["working"])
        if how == "kill":
            outage.redis.start()  # with no data
        else:
            outage.redis.resume()
        wait_for(lambda: outage.locks() == [])
        assert "store_error" in {event.name.value for event in outage.seen}


def test_a_job_until_start_is_requeued_while_redis_is_down(new_faktory, new_redis, notes, wait_for):
    redis, faktory = new_redis(), new_faktory()
    policy = Policy(ttl=600, until="start")
    with Unique(store=redis.url, default=policy) as unique, Client(faktory.url) as client:
        outage = Outage(faktory, redis, unique)
        Producer(client, middleware=[unique]).push(Job(jobtype="note", args=[notes.path]))
        redis.pause()
        with outage.working():
            wait_for(lambda: client.info()["faktory"]["sets"]["scheduled"] == 1)
            redis.resume()
            assert notes() == []
            wait_for(lambda: notes() == ["ran"])
        assert outage.locks() == []


def test_a_close_while_redis_is_down_ends_in_time(outage, notes, wait_for):
    """A worker that stops does not wait for the store."""
    with Client(outage.faktory.url) as client, outage.working():
        Producer(client, middleware=[outage.unique]).push(Job(jobtype="note", args=[notes.path]))
        wait_for(lambda: notes() == ["ran"])
        wait_for(lambda: outage.locks() == [])
        Producer(client, middleware=[outage.unique]).push(
            Job(jobtype="note_slowly", args=[notes.path, 1])
        )
        wait_for(lambda: "started" in notes())
        outage.redis.pause()
    outage.unique.close()
    outage.redis.resume()
