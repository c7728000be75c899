"""What an outage of the store costs the pushes of a producer, on real servers."""

from __future__ import annotations

import logging
from contextlib import closing

import pytest
import redis

from faktory_unique import Job, Middleware, Policy, Producer, PushStatus, StoreError, Unique
from faktory_unique.stores.breaker import FAILURES_TO_OPEN
from faktory_unique.testing import FakeFaktory


class Afterwards(Middleware):
    """Calls a function with the keys of the pushed jobs, before their locks are confirmed."""

    def __init__(self, act):
        self._act = act

    def push(self, jobs, call_next):
        results = call_next(jobs)
        self._act([job["custom"]["unique"]["key"] for job in jobs])
        return results


@pytest.fixture
def server(new_redis):
    return new_redis()


@pytest.fixture
def calls(monkeypatch):
    """The exchanges that a store begins with its server; each may cost a time-out."""
    begun = []

    def note(unique):
        pool = unique._context.store._pool
        use = pool.use
        monkeypatch.setattr(pool, "use", lambda *args: begun.append(args) or use(*args))
        return begun

    return note


def test_few_pushes_wait_for_a_redis_that_hangs(server, calls, caplog, wait_for):
    """Three time-outs open the circuit breaker. The first reply closes it."""
    caplog.set_level(logging.WARNING, "faktory_unique")
    policy = Policy(on_store_error="push")
    with closing(FakeFaktory()) as fake, Unique(server.url, default=policy) as unique:
        producer = Producer(fake.client(), [unique])
        assert producer.push(Job(jobtype="Report", args=[0])).status is PushStatus.PUSHED
        begun = calls(unique)
        server.pause()
        unique._context.store._breaker._clock = lambda: 0.0  # no pause ends
        results = [producer.push(Job(jobtype="Report", args=[n])) for n in range(1, 101)]
        assert {result.status for result in results} == {PushStatus.UNGUARDED}
        assert len(begun) == FAILURES_TO_OPEN
        server.resume()
        unique._context.store.allow_probe()
        wait_for(
            lambda: (
                producer.push(Job(jobtype="Report", args=[1000])).status
                in {PushStatus.PUSHED, PushStatus.DUPLICATE}
            )
        )
        assert len(begun) > FAILURES_TO_OPEN
    messages = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert messages.count("store unavailable, calls fail at once until it is back") == 1
    assert messages.count("store available again") == 1


def test_breaker_does_not_hide_the_policy(server):
    """By default nothing is pushed, at once."""
    with closing(FakeFaktory()) as fake, Unique(server.url, default=Policy()) as unique:
        producer = Producer(fake.client(), [unique])
        producer.push(Job(jobtype="Report", args=[0]))
        server.kill()
        for n in range(10):
            with pytest.raises(StoreError):
                producer.push(Job(jobtype="Report", args=[n]))
        assert len(fake.jobs) == 1
        server.start()
        unique._context.store.allow_probe()
        assert producer.push(Job(jobtype="Report", args=[0]))


def test_write_refused_for_good_costs_later_pushes_nothing(server, calls):
    """Another program has overwritten the locks: no confirm of them can be applied."""
    events = []
    policy = Policy(ttl=600)
    with (
        closing(FakeFaktory()) as fake,
        Unique(server.url, default=policy, hooks=[events.append]) as unique,
        redis.Redis.from_url(server.url) as raw,
    ):

        def overwrite(keys):
            for key in keys:
                if ":Bad:" in key:
                    raw.delete(key)
                    raw.rpush(key, "no lock")

        producer = Producer(fake.client(), [unique, Afterwards(overwrite)])
        for n in range(20):
            assert producer.push(Job(jobtype="Bad", args=[n]))
        assert len(unique._context.deferred) == 0
        details = [event.detail for event in events if event.name == "store_error"]
        assert len(details) == 20
        assert all("WRONGTYPE" in d and "the lock is left to its TTL" in d for d in details)
        begun = calls(unique)
        for n in range(20):
            assert producer.push(Job(jobtype="Good", args=[n])).confirmed
        assert len(begun) == 40  # an acquire and a confirm each


def test_deferred_write_does_not_wait_for_the_breaker(server, wait_for):
    """A worker's writes are retried by their own pauses. Here nothing else uses the store."""
    with closing(FakeFaktory()) as fake, Unique(server.url, default=Policy()) as unique:
        producer = Producer(fake.client(), [unique, Afterwards(lambda _keys: server.kill())])
        result = producer.push(Job(jobtype="Report", args=[0]))
        assert not result.confirmed
        breaker = unique._context.store._breaker
        wait_for(lambda: breaker._opened_at is not None)
        breaker._clock = lambda: 0.0  # no pause ends by itself
        server.start()
        wait_for(lambda: len(unique._context.deferred) == 0)
        assert breaker._opened_at is None
