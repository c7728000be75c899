"""Redis, Faktory or a producer is killed, stopped or restarted during a push."""

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
from tests.patience import takes, wait_for


def job(text="one"):
    return Job(jobtype="Outage", args=[text])


@pytest.fixture
def outage(new_redis, new_faktory):
    """A producer with its own servers and open connections."""
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
    def test_without_a_reply_push_raises_within_two_seconds(self, outage, how, bulk):
        """Nothing is enqueued."""
        getattr(outage.redis, how)()

        jobs = [job(str(n)) for n in range(100 if bulk else 1)]
        push = outage.producer.push_bulk if bulk else outage.producer.push

        def fail():
            with pytest.raises(StoreUnavailable, match=r"no reply from Redis at 127\.0\.0\.1:"):
                push(jobs if bulk else jobs[0])

        assert takes(fail, below=2)
        assert enqueued(outage.faktory) == 1

    def test_a_new_producer_of_a_hanging_redis_raises_as_soon(self, outage):
        """The kernel accepts its connection, but no reply to its login comes."""
        outage.redis.pause()
        fresh = Unique(store=outage.redis.url, default=Policy())
        producer = Producer(outage.producer.client, middleware=[fresh])

        def push():
            with pytest.raises(StoreUnavailable):
                producer.push(job())

        assert takes(push, below=2)

    @pytest.mark.parametrize("how", ["kill", "pause"])
    def test_push_works_again_once_redis_is_back(self, outage, how):
        getattr(outage.redis, how)()
        with pytest.raises(StoreUnavailable):
            outage.producer.push(job())
        outage.redis.start() if how == "kill" else outage.redis.resume()
        # A resumed server first carries out what it was sent before: that lock is a lease.
        wait_for(lambda: outage.producer.push(job()))

    def test_a_redis_lost_before_confirm_leaves_the_job_pushed(self, outage):
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
    def test_a_stopped_faktory_gets_nothing_and_leaves_no_lock(self, outage):
        outage.faktory.stop()
        with pytest.raises(PushNotSent) as caught:
            outage.producer.push(job())
        [result] = caught.value.results
        assert outage.unique._context.store.run([read_transition(result.key)]) == [None]

    def test_a_hanging_faktory_leaves_the_lease(self, outage):
        """The outcome of the push is unknown."""
        outage.faktory.pause()
        since = time.monotonic()
        with pytest.raises(PushOutcomeUnknown) as caught:
            outage.producer.push(job())
        assert time.monotonic() - since < 20  # its time-out is 1 s, the default 30 s
        [result] = caught.value.results
        assert outage.unique._context.store.run([read_transition(result.key)]) == [
            f"{result.submitted_jid}?"
        ]

    def test_a_retried_job_of_unknown_outcome_gets_a_new_jid(self, outage):
        """The first copy did arrive. Both run, and neither jid destroys the other's reservation."""
        again = job()
        outage.faktory.pause()
        with pytest.raises(PushOutcomeUnknown):
            outage.producer.push(again)
        outage.faktory.resume()
        result = outage.producer.push(again)
        assert result
        assert result.jid != result.submitted_jid == again.jid
        assert enqueued(outage.faktory) == 3
        assert outage.unique._context.store.run([read_transition(result.key)]) == [again.jid]

    def test_an_idle_producer_pushes_after_a_faktory_restart(self, outage):
        """Stock pyfaktory raises, though nothing was sent."""
        outage.faktory.restart()
        assert outage.producer.push(job())

    def test_bulk_pushes_work_after_each_of_two_restarts(self, outage):
        for text in ("one", "two"):
            outage.faktory.restart()
            assert len(outage.producer.push_bulk([job(text)]).pushed) == 1


def test_a_producer_killed_before_push_blocks_for_the_lease(outage):
    """SIGKILL right after the lock was acquired. An equal job can be pushed after the lease."""
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
    assert killed.returncode == -signal.SIGKILL
    blocked = outage.producer.push(job())
    assert not blocked
    assert not blocked.confirmed
    assert blocked.retry_after == 2
    wait_for(lambda: outage.producer.push(job()))
    assert enqueued(outage.faktory) == 2


def test_a_full_redis_raises_and_leaves_no_lock(new_redis, faktory_url):
    """Redis is out of memory: the locks of the batch are rolled back, nothing is pushed."""
    server = new_redis()
    admin = Redis.from_url(server.url)
    admin.config_set("maxmemory", "1")
    with Unique(store=server.url, default=Policy()) as unique, Client(faktory_url) as client:
        producer = Producer(client, middleware=[unique])
        with pytest.raises(StoreError, match=r"Redis at \S+ refused 2 of 2 commands: .*maxmemory"):
            producer.push_bulk([job("one"), job("two")])
        assert admin.dbsize() == 0
        assert client.info()["faktory"]["total_enqueued"] == 0
        admin.config_set("maxmemory", "0")
        assert producer.push(job("one"))


def test_errors_do_not_contain_the_password(new_redis):
    server = new_redis(password="s3cret")
    wrong = server.url.replace("s3cret", "wr0ng")
    producer_store = Unique(store=wrong, default=Policy())
    with pytest.raises(StoreError, match="refused the login") as caught:
        producer_store.push([job().model_dump()], lambda _jobs: [])
    messages = f"{caught.value} {caught.value.__cause__} {producer_store!r}"
    assert "wr0ng" not in messages
