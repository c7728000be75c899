"""Servers and producers that are killed, stopped and restarted at the wrong moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest
from redis import Redis

from faktory_unique import (
    Client,
    Job,
    Middleware,
    Policy,
    Producer,
    PushNotSent,
    PushOutcomeUnknown,
    StoreError,
    StoreUnavailable,
    Unique,
)
from faktory_unique.locks.transition import read_transition


def job(text="one"):
    return Job(jobtype="Outage", args=[text])


@pytest.fixture
def outage(new_redis, new_faktory):
    """A producer with servers of its own, its connections warm."""
    redis, faktory = new_redis(), new_faktory()
    with (
        Unique(store=redis.url, default=Policy(ttl=600, lease=2)) as unique,
        Client(faktory.url, timeout=1) as client,
    ):
        producer = Producer(client, middleware=[unique])
        producer.push(job("warm up"))

        class Outage:
            pass

        Outage.redis, Outage.faktory, Outage.producer, Outage.unique = (
            redis,
            faktory,
            producer,
            unique,
        )
        yield Outage


def enqueued(server):
    with Client(server.url) as client:
        return client.info()["faktory"]["total_enqueued"]


class TestRedis:
    @pytest.mark.parametrize("how", ["kill", "pause", "stop"])
    @pytest.mark.parametrize("bulk", [False, True])
    def test_without_an_answer_nothing_is_enqueued_and_the_caller_knows_within_two_seconds(
        self, outage, how, bulk
    ):
        getattr(outage.redis, how)()
        since = time.monotonic()
        push = (
            (lambda: outage.producer.push_bulk([job(str(n)) for n in range(100)]))
            if bulk
            else (lambda: outage.producer.push(job()))
        )
        with pytest.raises(StoreUnavailable, match=r"no answer from Redis at 127\.0\.0\.1:"):
            push()
        assert time.monotonic() - since < 2
        assert enqueued(outage.faktory) == 1

    def test_a_new_producer_of_a_stopped_redis_knows_as_soon(self, outage):
        """Its connection is accepted by the kernel, and its login never answered."""
        outage.redis.pause()
        fresh = Unique(store=outage.redis.url, default=Policy())
        producer = Producer(outage.producer.client, middleware=[fresh])
        since = time.monotonic()
        with pytest.raises(StoreUnavailable):
            producer.push(job())
        assert time.monotonic() - since < 2

    @pytest.mark.parametrize("how", ["kill", "pause"])
    def test_it_is_used_again_once_it_is_back(self, outage, how):
        getattr(outage.redis, how)()
        with pytest.raises(StoreUnavailable):
            outage.producer.push(job())
        outage.redis.start() if how == "kill" else outage.redis.resume()
        # What a stopped server had already been sent, it does when it wakes: that lock is a lease.
        deadline = time.monotonic() + 5
        while not outage.producer.push(job()):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def test_lost_between_push_and_confirm_the_job_is_pushed(self, outage):
        class KillAfterPush(Middleware):
            def push(self, jobs, call_next):
                results = call_next(jobs)
                outage.redis.kill()
                return results

        producer = Producer(outage.producer.client, middleware=[outage.unique, KillAfterPush()])
        result = producer.push(job())
        assert result
        assert not result.confirmed
        assert enqueued(outage.faktory) == 2


class TestFaktory:
    def test_away_before_the_push_nothing_is_sent_and_no_lock_left(self, outage):
        outage.faktory.stop()
        with pytest.raises(PushNotSent) as caught:
            outage.producer.push(job())
        [result] = caught.value.results
        assert outage.unique.store.run([read_transition(result.key)]) == [None]

    def test_hanging_the_outcome_is_unknown_and_the_lease_stays(self, outage):
        outage.faktory.pause()
        since = time.monotonic()
        with pytest.raises(PushOutcomeUnknown) as caught:
            outage.producer.push(job())
        assert time.monotonic() - since < 3
        [result] = caught.value.results
        assert outage.unique.store.run([read_transition(result.key)]) == [
            f"{result.submitted_jid}?"
        ]

    def test_after_an_unknown_outcome_the_same_job_goes_out_under_a_new_jid(self, outage):
        """The first copy did arrive; both run, under jids that do not disturb each other."""
        again = job()
        outage.faktory.pause()
        with pytest.raises(PushOutcomeUnknown):
            outage.producer.push(again)
        outage.faktory.resume()
        result = outage.producer.push(again)
        assert result
        assert result.jid != result.submitted_jid == again.jid
        assert enqueued(outage.faktory) == 3
        assert outage.unique.store.run([read_transition(result.key)]) == [again.jid]

    def test_restarted_under_an_idle_producer_the_next_push_just_works(self, outage):
        """Stock pyfaktory raises, though nothing was sent (facts §1)."""
        outage.faktory.restart()
        assert outage.producer.push(job())

    def test_restarted_twice_and_pushed_in_bulk(self, outage):
        for text in ("one", "two"):
            outage.faktory.restart()
            assert len(outage.producer.push_bulk([job(text)]).pushed) == 1


def test_a_producer_killed_between_take_and_push_blocks_its_key_no_longer_than_the_lease(
    outage,
):
    """kill -9 right after the lock was taken; the next push waits for the lease and goes out."""
    script = textwrap.dedent(
        """
        import os, signal, sys
        from faktory_unique import Client, Job, Middleware, Policy, Producer, Unique

        class Die(Middleware):
            def push(self, jobs, call_next):
                os.kill(os.getpid(), signal.SIGKILL)

        with Client(sys.argv[1]) as client:
            unique = Unique(store=sys.argv[2], default=Policy(ttl=600, lease=2))
            Producer(client, middleware=[unique, Die()]).push(Job(jobtype="Outage", args=["one"]))
        """
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, outage.faktory.url, outage.redis.url], check=False
    )
    since = time.monotonic()
    assert killed.returncode == -signal.SIGKILL
    blocked = outage.producer.push(job())
    assert not blocked
    assert not blocked.confirmed
    assert blocked.retry_after == 2
    while not outage.producer.push(job()):
        assert time.monotonic() - since < 3
        time.sleep(0.02)
    assert enqueued(outage.faktory) == 2


def test_a_full_redis_refuses_and_leaves_no_lock(new_redis, faktory_url):
    """Out of memory at some keys of a batch: the others are given back, nothing is pushed."""
    server = new_redis()
    admin = Redis.from_url(server.url)
    admin.config_set("maxmemory", "1")
    with Unique(store=server.url, default=Policy()) as unique, Client(faktory_url) as client:
        producer = Producer(client, middleware=[unique])
        with pytest.raises(StoreError, match=r"Redis refused 2 of 2 commands: .*maxmemory"):
            producer.push_bulk([job("one"), job("two")])
        assert admin.dbsize() == 0
        assert client.info()["faktory"]["total_enqueued"] == 0
        admin.config_set("maxmemory", "0")
        assert producer.push(job("one"))


def test_a_password_never_stands_in_an_error(new_redis):
    server = new_redis(password="s3cret")
    wrong = server.url.replace("s3cret", "wr0ng")
    producer_store = Unique(store=wrong, default=Policy())
    with pytest.raises(StoreError, match="refuses the login") as caught:
        producer_store.push([job().model_dump()], lambda _jobs: [])
    told = f"{caught.value} {caught.value.__cause__} {producer_store!r}"
    assert "wr0ng" not in told
