"""`Store.run` of every store: Redis 7, Redis 6.2, a unix socket, a ready client, memory."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from faktory_unique import StoreError, StoreUnavailable
from faktory_unique.locks.lifecycle import (
    acquire_transition,
    confirm_transition,
    release_transition,
    renew_transition,
    rollback_transition,
)
from faktory_unique.locks.transition import Transition, read_transition
from faktory_unique.stores.base import Store
from tests.contract.conftest import KEY, OTHER, OWNER, commands_seen, each, raw, ttl, value
from tests.patience import PATIENCE, takes, wait_for


def test_acquire_of_a_free_key_leases_it(store):
    """From absent to leased; the value found is None."""
    assert store.run([acquire_transition(KEY, OWNER, 60)]) == [None]
    assert value(store) == f"{OWNER}?"
    assert 58 < ttl(store) <= 60


def test_acquire_of_a_locked_key_returns_the_lock_unchanged(store):
    store.run([acquire_transition(KEY, OTHER, 60)])
    assert store.run([acquire_transition(KEY, OWNER, 600)]) == [f"{OTHER}?"]
    assert value(store) == f"{OTHER}?"
    assert 58 < ttl(store) <= 60


def test_confirm_holds_the_owners_lease_for_the_new_ttl(store):
    store.run([acquire_transition(KEY, OWNER, 60)])
    assert store.run([confirm_transition(KEY, OWNER, 3600)]) == [f"{OWNER}?"]
    assert value(store) == OWNER
    assert 3598 < ttl(store) <= 3600


def test_confirm_never_restores_a_lock_that_a_worker_released(store):
    assert store.run([confirm_transition(KEY, OWNER, 3600)]) == [None]
    assert value(store) is None


def test_confirm_leaves_a_lock_that_a_worker_holds(store):
    store.run([Transition(KEY, (None,), OWNER, 100)])
    assert store.run([confirm_transition(KEY, OWNER, 3600)]) == [OWNER]
    assert 98 < ttl(store) <= 100


def test_confirm_leaves_the_lock_of_another_owner(store):
    store.run([acquire_transition(KEY, OTHER, 60)])
    store.run([confirm_transition(KEY, OWNER, 3600)])
    assert value(store) == f"{OTHER}?"


@pytest.mark.parametrize("state", ["leased", "held"])
def test_release_deletes_the_owners_lock_in_either_state(store, state):
    store.run([acquire_transition(KEY, OWNER, 60)])
    if state == "held":
        store.run([confirm_transition(KEY, OWNER, 60)])
    assert store.run([release_transition(KEY, OWNER)]) == [
        OWNER if state == "held" else f"{OWNER}?"
    ]
    assert value(store) is None


@pytest.mark.parametrize("state", ["leased", "held"])
def test_release_leaves_the_lock_of_another_owner(store, state):
    store.run([acquire_transition(KEY, OTHER, 60)])
    if state == "held":
        store.run([confirm_transition(KEY, OTHER, 60)])
    before = value(store)
    store.run([release_transition(KEY, OWNER)])
    assert value(store) == before


def test_roll_back_deletes_a_lease_but_no_held_lock(store):
    store.run([acquire_transition(KEY, OWNER, 60)])
    store.run([rollback_transition(KEY, OWNER)])
    assert value(store) is None
    each(store, acquire_transition(KEY, OWNER, 60), confirm_transition(KEY, OWNER, 60))
    store.run([rollback_transition(KEY, OWNER)])
    assert value(store) == OWNER


def test_renew_lengthens_the_owners_lease(store):
    store.run([acquire_transition(KEY, OWNER, 10)])
    assert store.run([renew_transition(KEY, OWNER, 60)]) == [f"{OWNER}?"]
    assert 58 < ttl(store) <= 60


def test_renew_acquires_a_lease_that_has_just_lapsed(store):
    assert store.run([renew_transition(KEY, OWNER, 60)]) == [None]
    assert value(store) == f"{OWNER}?"


def test_renew_leaves_a_held_lock(store):
    each(store, acquire_transition(KEY, OWNER, 10), confirm_transition(KEY, OWNER, 10))
    assert store.run([renew_transition(KEY, OWNER, 60)]) == [OWNER]
    assert 8 < ttl(store) <= 10


def test_a_lock_lapses_after_its_ttl(store):
    store.run([acquire_transition(KEY, OWNER, 1)])
    wait_for(lambda: value(store) is None)


def test_a_fraction_of_a_second_is_rounded_up(store):
    """Redis' EX takes whole seconds, and 0 would be an error."""
    store.run([acquire_transition(KEY, OWNER, 1.2)])
    assert 1 < ttl(store) <= 2


def test_a_transition_that_extends_never_shortens_a_ttl(store):
    store.run([acquire_transition(KEY, OWNER, 60)])
    store.run([Transition(KEY, (f"{OWNER}?",), OWNER, 10, extends=True)])
    assert (value(store), 50 < ttl(store) <= 60) == (OWNER, True)
    store.run([Transition(KEY, (OWNER,), OWNER, 90, extends=True)])
    assert 80 < ttl(store) <= 90


def test_a_batch_returns_the_values_found_in_order(store):
    keys = [f"{KEY}:{n}" for n in range(2500)]
    store.run([acquire_transition(key, OTHER, 60) for key in keys[::2]])
    found = store.run([acquire_transition(key, OWNER, 60) for key in keys])
    assert found == [f"{OTHER}?" if n % 2 == 0 else None for n in range(2500)]


def test_an_empty_batch_returns_nothing(store):
    assert store.run([]) == []


def test_keys_and_owners_of_any_text_are_returned_unchanged(store):
    key, owner = "unique:1:Grüße 🎉\r\n\x00:abc", "jid-éè🎉\r\n\x00x"
    each(store, acquire_transition(key, owner, 60), confirm_transition(key, owner, 60))
    assert value(store, key) == owner


def test_exactly_one_of_many_threads_acquires_a_key(store):
    barrier = threading.Barrier(8)

    def acquire(n):
        barrier.wait()
        return store.run([acquire_transition(KEY, f"jid-{n:08}", 60)])[0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(acquire, range(8))).count(None) == 1


def test_a_closed_store_reopens_and_has_kept_its_locks(store):
    store.run([acquire_transition(KEY, OWNER, 60)])
    store.close()
    store.close()
    assert value(store) == f"{OWNER}?"


def test_each_store_implements_the_interface(store):
    assert isinstance(store, Store)


class TestRedisOnly:
    """Claims about commands, connections and logins."""

    def test_acquire_is_sent_as_set_nx_get_ex(self, redis_url):
        """docs/design.md: `SET key <owner>? NX GET EX n`."""
        seen = commands_seen(
            redis_url, lambda store: store.run([acquire_transition(KEY, OWNER, 60)])
        )
        assert seen == [f"SET {KEY} {OWNER}? NX GET EX 60"]

    def test_release_is_sent_as_one_script_of_one_key(self, redis_url, new_store):
        store = new_store(redis_url)
        each(store, acquire_transition(KEY, OWNER, 60), confirm_transition(KEY, OWNER, 60))
        seen = commands_seen(redis_url, lambda store: store.run([release_transition(KEY, OWNER)]))
        assert [command.split()[0] for command in seen] == ["EVALSHA"]
        assert seen[0].split()[2:4] == ["1", KEY]

    def test_scripts_are_loaded_again_after_a_server_forgot_them(self, redis_url, new_store):
        store = new_store(redis_url)
        each(store, acquire_transition(KEY, OWNER, 60), confirm_transition(KEY, OWNER, 60))
        with redis.Redis.from_url(redis_url) as client:
            client.script_flush()
        batch = [
            acquire_transition(f"{KEY}2", OWNER, 60),
            release_transition(KEY, OWNER),
            read_transition(f"{KEY}3"),
        ]
        assert store.run(batch) == [None, OWNER, None]
        assert value(store) is None

    def test_a_server_restart_between_two_calls_raises_nothing(self, new_redis, new_store):
        server = new_redis()
        store = new_store(server.url)
        store.run([acquire_transition(KEY, OWNER, 60)])
        server.restart()
        assert store.run([acquire_transition(KEY, OTHER, 60)]) == [None]
        assert store.run([release_transition(KEY, OTHER)]) == [f"{OTHER}?"]

    def test_a_forked_child_opens_its_own_connections(self, redis_url, new_store):
        """Parent and child send many commands at the same time. Each reads its own replies."""
        store = new_store(redis_url)
        store.run([read_transition(KEY)])
        context = multiprocessing.get_context("fork")
        queue = context.Queue()

        def reads_own_writes(name):
            keys = [f"{name}:{n}" for n in range(300)]
            for key in keys:
                store.run([acquire_transition(key, f"{name}-owner", 60)])
            return [store.run([read_transition(key)])[0] for key in keys] == [
                f"{name}-owner?"
            ] * 300

        child = context.Process(target=lambda: queue.put(reads_own_writes("child")))
        child.start()
        assert reads_own_writes("parent")
        assert queue.get(timeout=PATIENCE)
        child.join()
        assert child.exitcode == 0

    def test_a_forked_child_leaves_inherited_connections_alone(
        self, redis_url, monkeypatch, new_store
    ):
        """The child's side of a fork, simulated by another process id."""
        store = new_store(redis_url)
        store.run([read_transition(KEY)])
        [inherited] = store._pool._idle
        monkeypatch.setattr("faktory_unique.stores.redis_pool.os.getpid", lambda: -1)
        store.run([read_transition(KEY)])
        assert inherited not in store._pool._idle
        assert inherited.is_idle()
        inherited.close()

    def test_a_refused_command_raises_with_the_applied_transitions(self, redis_url, new_store):
        store = new_store(redis_url)
        with raw(store) as client:
            client.rpush(f"{KEY}2", "no lock")
        acquired = acquire_transition(KEY, OWNER, 60)
        with pytest.raises(
            StoreError, match=r"Redis at \S+ refused 1 of 2 commands: WRONGTYPE"
        ) as caught:
            store.run([acquired, acquire_transition(f"{KEY}2", OWNER, 60)])
        assert caught.value.done == (acquired,)
        assert value(store) == f"{OWNER}?"

    def test_a_refused_login_raises_without_the_password(self, new_redis, new_store):
        store = new_store(new_redis(password="s3cret").url.replace("s3cret", "wr0ng"))
        with pytest.raises(StoreError, match="refused the login") as caught:
            store.run([read_transition(KEY)])
        assert not isinstance(caught.value, StoreUnavailable)
        assert "wr0ng" not in str(caught.value)

    def test_timeouts_in_the_url_override_the_defaults(self, new_redis, new_store):
        server = new_redis()
        store = new_store(f"{server.url}?socket_timeout=0.2&socket_connect_timeout=0.1")
        store.run([read_transition(KEY)])
        server.pause()

        def read():
            with pytest.raises(StoreUnavailable):
                store.run([read_transition(KEY)])

        assert takes(read, below=0.9)
