"""How many connections a `RedisStore` has, who waits for one, and which are closed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from time import monotonic

import pytest
import redis

from faktory_unique import StoreUnavailable
from faktory_unique.locks.lifecycle import acquire_transition
from faktory_unique.stores import redis_pool
from faktory_unique.stores.redis import RedisStore
from tests.contract.conftest import KEY, OWNER, raw, value


def run_in_threads(store, threads, rounds=1):
    """Acquire one lock per thread and round, all threads at once. Return the values found."""
    barrier = threading.Barrier(threads)

    def acquire(n):
        barrier.wait()
        return [store.run([acquire_transition(f"{KEY}:{n}:{i}", OWNER, 60)]) for i in range(rounds)]

    with ThreadPoolExecutor(threads) as pool:
        return [found for each in pool.map(acquire, range(threads)) for found in each]


@pytest.fixture
def server(new_redis):
    with redis.Redis.from_url(new_redis().url) as client:
        client.url = "redis://{host}:{port}/0".format(**client.connection_pool.connection_kwargs)
        yield client


def connections_made(client):
    return client.info("stats")["total_connections_received"]


def test_url_bounds_the_connections(server):
    before = connections_made(server)
    with closing(RedisStore(f"{server.url}?max_connections=3")) as store:
        assert run_in_threads(store, 32, rounds=20) == [[None]] * 640
        assert connections_made(server) - before <= 3


def test_default_bounds_the_connections(server):
    before = connections_made(server)
    with closing(RedisStore(server.url)) as store:
        assert run_in_threads(store, 64, rounds=5) == [[None]] * 320
        assert connections_made(server) - before <= 20


def test_clients_pool_bounds_the_connections(server):
    before = connections_made(server)
    pool = redis.BlockingConnectionPool.from_url(server.url, max_connections=2)
    with closing(RedisStore(redis.Redis(connection_pool=pool))) as store:
        assert run_in_threads(store, 16) == [[None]] * 16
        assert connections_made(server) - before <= 2


def test_full_server_makes_callers_wait(server):
    """Sixty threads share the connections that Redis has room for (`maxclients`)."""
    server.config_set("maxclients", 12)
    with closing(RedisStore(f"{server.url}?socket_timeout=30")) as store:
        assert run_in_threads(store, 60, rounds=5) == [[None]] * 300


def test_full_server_without_room_for_one_is_unavailable(server):
    server.config_set("maxclients", 1)
    with closing(RedisStore(server.url)) as store, pytest.raises(StoreUnavailable):
        value(store)


def test_idle_connections_are_closed_after_a_while(server, monkeypatch, wait_for):
    monkeypatch.setattr(redis_pool, "IDLE_SECONDS", 0.1)
    with closing(RedisStore(server.url)) as store:
        pool, barrier = store._pool, threading.Barrier(10)

        def use():
            pool.use(lambda *_args: [barrier.wait(20)], monotonic() + 20)

        with ThreadPoolExecutor(10) as threads:
            list(threads.map(lambda _n: use(), range(10)))
        assert len(pool._idle) == 10

        def few_are_left():
            value(store)
            return len(server.client_list()) - 1 <= redis_pool.KEPT_IDLE

        wait_for(few_are_left)
        assert len(pool._idle) == redis_pool.KEPT_IDLE


def test_caller_waits_for_a_connection_until_its_deadline(server):
    """Afterwards the store is as before: the connection is not lost."""
    with closing(RedisStore(f"{server.url}?max_connections=1&socket_timeout=0.2")) as store:

        def second_call(*_args):
            with pytest.raises(StoreUnavailable, match="all 1 connections are in use"):
                value(store)
            return []

        store._pool.use(second_call, monotonic() + 20)
        assert store._pool.busy == 0
        assert value(store) is None


def test_waiting_caller_gets_the_connection_that_is_freed(server):
    with closing(RedisStore(f"{server.url}?max_connections=1&socket_timeout=30")) as store:
        with ThreadPoolExecutor(1) as threads:

            def wait_for_waiter(*_args):
                waiter = threads.submit(partial(value, store))
                while not store._pool._waiting:
                    assert not waiter.done()
                return [waiter]

            [waiter] = store._pool.use(wait_for_waiter, monotonic() + 20)
            assert waiter.result(20) is None
        assert not store._pool._waiting


def test_connection_idle_beyond_health_check_is_replaced(server):
    with closing(RedisStore(f"{server.url}?health_check_interval=1")) as store:
        value(store)
        [idle] = store._pool._idle
        value(store)
        assert list(store._pool._idle) == [idle]
        idle.idle_since -= 2
        value(store)
        assert idle not in store._pool._idle


def test_limit_counts_no_connection_twice(redis_url):
    """A connection that broke during its exchange frees its place."""
    with closing(RedisStore(f"{redis_url}?max_connections=1")) as store:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                store._pool.use(lambda *_args: 1 / 0, monotonic() + 20)
        assert value(store) is None
        assert raw(store).ping()
