"""One contract, kept by every store: Redis 7, Redis 6.2, a unix socket, a ready client, memory."""

from __future__ import annotations

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import trustme

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
from faktory_unique.stores.factory import open_store
from faktory_unique.stores.redis import RedisStore
from scripts.servers import free_port
from tests.contract.conftest import KEY, OTHER, OWNER, commands_seen, each, raw, ttl, value


def test_a_take_of_a_free_key_leases_it(store):
    """absent → leased; the reply says that nothing was there."""
    assert store.run([acquire_transition(KEY, OWNER, 60)]) == [None]
    assert value(store) == f"{OWNER}?"
    assert 58 < ttl(store) <= 60


def test_a_take_of_a_taken_key_changes_nothing_and_names_the_holder(store):
    store.run([acquire_transition(KEY, OTHER, 60)])
    assert store.run([acquire_transition(KEY, OWNER, 600)]) == [f"{OTHER}?"]
    assert value(store) == f"{OTHER}?"
    assert ttl(store) <= 60


def test_a_confirm_of_ones_own_lease_holds_it_for_the_new_ttl(store):
    store.run([acquire_transition(KEY, OWNER, 60)])
    assert store.run([confirm_transition(KEY, OWNER, 3600)]) == [f"{OWNER}?"]
    assert value(store) == OWNER
    assert 3598 < ttl(store) <= 3600


def test_a_confirm_never_brings_back_a_lock_that_a_worker_has_freed(store):
    assert store.run([confirm_transition(KEY, OWNER, 3600)]) == [None]
    assert value(store) is None


def test_a_confirm_leaves_what_a_worker_has_set(store):
    store.run([Transition(KEY, (None,), OWNER, 100)])
    assert store.run([confirm_transition(KEY, OWNER, 3600)]) == [OWNER]
    assert ttl(store) <= 100


def test_a_confirm_leaves_another_owners_lock(store):
    store.run([acquire_transition(KEY, OTHER, 60)])
    store.run([confirm_transition(KEY, OWNER, 3600)])
    assert value(store) == f"{OTHER}?"


@pytest.mark.parametrize("state", ["leased", "held"])
def test_a_release_frees_ones_own_lock_in_either_state(store, state):
    store.run([acquire_transition(KEY, OWNER, 60)])
    if state == "held":
        store.run([confirm_transition(KEY, OWNER, 60)])
    assert store.run([release_transition(KEY, OWNER)]) == [
        OWNER if state == "held" else f"{OWNER}?"
    ]
    assert value(store) is None


@pytest.mark.parametrize("state", ["leased", "held"])
def test_a_release_never_frees_anothers_lock(store, state):
    store.run([acquire_transition(KEY, OTHER, 60)])
    if state == "held":
        store.run([confirm_transition(KEY, OTHER, 60)])
    before = value(store)
    store.run([release_transition(KEY, OWNER)])
    assert value(store) == before


def test_giving_back_frees_a_lease_but_no_held_lock(store):
    store.run([acquire_transition(KEY, OWNER, 60)])
    store.run([rollback_transition(KEY, OWNER)])
    assert value(store) is None
    each(store, acquire_transition(KEY, OWNER, 60), confirm_transition(KEY, OWNER, 60))
    store.run([rollback_transition(KEY, OWNER)])
    assert value(store) == OWNER


def test_a_renewal_lengthens_ones_own_lease(store):
    store.run([acquire_transition(KEY, OWNER, 10)])
    assert store.run([renew_transition(KEY, OWNER, 60)]) == [f"{OWNER}?"]
    assert 58 < ttl(store) <= 60


def test_a_renewal_takes_a_lease_that_has_just_run_out(store):
    assert store.run([renew_transition(KEY, OWNER, 60)]) == [None]
    assert value(store) == f"{OWNER}?"


def test_a_renewal_leaves_a_held_lock(store):
    each(store, acquire_transition(KEY, OWNER, 10), confirm_transition(KEY, OWNER, 10))
    assert store.run([renew_transition(KEY, OWNER, 60)]) == [OWNER]
    assert ttl(store) <= 10


def test_a_lock_is_gone_after_its_ttl(store):
    store.run([acquire_transition(KEY, OWNER, 1)])
    deadline = time.monotonic() + 5
    while value(store) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_fraction_of_a_second_is_rounded_up(store):
    """EX takes whole seconds, and 0 would be an error."""
    store.run([acquire_transition(KEY, OWNER, 1.2)])
    assert 1 < ttl(store) <= 2


def test_a_change_that_extends_takes_no_time_away(store):
    store.run([acquire_transition(KEY, OWNER, 60)])
    store.run([Transition(KEY, (f"{OWNER}?",), OWNER, 10, extends=True)])
    assert (value(store), 50 < ttl(store) <= 60) == (OWNER, True)
    store.run([Transition(KEY, (OWNER,), OWNER, 90, extends=True)])
    assert 80 < ttl(store) <= 90


def test_a_batch_answers_each_change_in_order(store):
    keys = [f"{KEY}:{n}" for n in range(2500)]
    store.run([acquire_transition(key, OTHER, 60) for key in keys[::2]])
    found = store.run([acquire_transition(key, OWNER, 60) for key in keys])
    assert found == [f"{OTHER}?" if n % 2 == 0 else None for n in range(2500)]


def test_an_empty_batch_is_no_round_trip(store):
    assert store.run([]) == []


def test_keys_and_owners_of_any_text_come_back_as_they_went(store):
    key, owner = "unique:1:Grüße 🎉\r\n\x00:abc", "jid-éè🎉\r\n\x00x"
    each(store, acquire_transition(key, owner, 60), confirm_transition(key, owner, 60))
    assert value(store, key) == owner


def test_of_many_threads_exactly_one_takes_a_key(store):
    barrier = threading.Barrier(8)

    def one(n):
        barrier.wait()
        return store.run([acquire_transition(KEY, f"jid-{n:08}", 60)])[0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))).count(None) == 1


def test_a_closed_store_opens_again_and_has_kept_its_locks(store):
    store.run([acquire_transition(KEY, OWNER, 60)])
    store.close()
    store.close()
    assert value(store) == f"{OWNER}?"


def test_it_is_a_store(store):
    assert isinstance(store, Store)


class TestOnRedisAlone:
    """What only a server can do."""

    def test_a_take_is_literally_set_nx_get_ex(self, redis_url):
        """docs/design.md: `SET key <owner>? NX GET EX n`."""
        seen = commands_seen(
            redis_url, lambda store: store.run([acquire_transition(KEY, OWNER, 60)])
        )
        assert seen == [f"SET {KEY} {OWNER}? NX GET EX 60"]

    def test_each_compared_change_is_one_script_of_one_key(self, redis_url):
        store = RedisStore(redis_url)
        each(store, acquire_transition(KEY, OWNER, 60), confirm_transition(KEY, OWNER, 60))
        seen = commands_seen(redis_url, lambda store: store.run([release_transition(KEY, OWNER)]))
        assert [command.split()[0] for command in seen] == ["EVALSHA"]
        assert seen[0].split()[2:4] == ["1", KEY]

    def test_scripts_forgotten_by_a_restarted_server_are_loaded_again(self, redis_url):
        store = RedisStore(redis_url)
        each(store, acquire_transition(KEY, OWNER, 60), confirm_transition(KEY, OWNER, 60))
        redis.Redis.from_url(redis_url).script_flush()
        batch = [
            acquire_transition(f"{KEY}2", OWNER, 60),
            release_transition(KEY, OWNER),
            read_transition(f"{KEY}3"),
        ]
        assert store.run(batch) == [None, OWNER, None]
        assert value(store) is None

    def test_a_server_restarted_between_two_calls_is_not_noticed(self, new_redis):
        server = new_redis()
        store = RedisStore(server.url)
        store.run([acquire_transition(KEY, OWNER, 60)])
        server.restart()
        assert store.run([acquire_transition(KEY, OTHER, 60)]) == [None]
        assert store.run([release_transition(KEY, OTHER)]) == [f"{OTHER}?"]

    def test_a_fork_gets_connections_of_its_own(self, redis_url):
        """Parent and child ask at once, each many times, and each is answered its own."""
        store = RedisStore(redis_url)
        store.run([read_transition(KEY)])
        context = multiprocessing.get_context("fork")
        queue = context.Queue()

        def ask(name):
            keys = [f"{name}:{n}" for n in range(300)]
            for key in keys:
                store.run([acquire_transition(key, f"{name}-owner", 60)])
            return [store.run([read_transition(key)])[0] for key in keys] == [
                f"{name}-owner?"
            ] * 300

        child = context.Process(target=lambda: queue.put(ask("child")))
        child.start()
        assert ask("parent")
        assert queue.get(timeout=30)
        child.join()
        assert child.exitcode == 0

    def test_a_child_leaves_the_connections_it_inherited_alone(self, redis_url, monkeypatch):
        """The child's side of a fork, told by the process id alone."""
        store = RedisStore(redis_url)
        store.run([read_transition(KEY)])
        [inherited] = store._idle
        monkeypatch.setattr("faktory_unique.stores.redis.os.getpid", lambda: -1)
        store.run([read_transition(KEY)])
        assert inherited not in store._idle
        assert inherited.is_quiet()

    def test_tls_verifies_the_certificate(self, new_redis, tmp_path):
        """`rediss://`, with redis-py's options for the authority."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        certificate = authority.issue_cert("localhost")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
        certificate.private_key_pem.write_to_path(tmp_path / "server.key")
        port = free_port()
        new_redis(
            extra=(
                *("--tls-port", str(port), "--tls-auth-clients", "no"),
                *("--tls-cert-file", tmp_path / "server.pem"),
                *("--tls-key-file", tmp_path / "server.key"),
            )
        )
        url = f"rediss://localhost:{port}/0"
        store = open_store(f"{url}?ssl_ca_certs={tmp_path / 'ca.pem'}")
        each(store, acquire_transition(KEY, OWNER, 60), confirm_transition(KEY, OWNER, 60))
        assert value(store) == OWNER
        store.close()
        with pytest.raises(StoreUnavailable, match="certificate"):
            open_store(url).run([read_transition(KEY)])

    def test_a_command_that_is_refused_is_an_error_that_tells_what_was_done(self, redis_url):
        store = RedisStore(redis_url)
        raw(store).rpush(f"{KEY}2", "no lock")
        taken = acquire_transition(KEY, OWNER, 60)
        with pytest.raises(StoreError, match="Redis refused 1 of 2 commands: WRONGTYPE") as caught:
            store.run([taken, acquire_transition(f"{KEY}2", OWNER, 60)])
        assert caught.value.done == (taken,)
        assert value(store) == f"{OWNER}?"

    def test_a_login_that_is_refused_is_an_error_without_the_password(self, new_redis):
        store = RedisStore(new_redis(password="s3cret").url.replace("s3cret", "wr0ng"))
        with pytest.raises(StoreError, match="refuses the login") as caught:
            store.run([read_transition(KEY)])
        assert not isinstance(caught.value, StoreUnavailable)
        assert "wr0ng" not in str(caught.value)

    def test_time_outs_in_the_url_go_over_ours(self, new_redis):
        server = new_redis()
        store = RedisStore(f"{server.url}?socket_timeout=0.2&socket_connect_timeout=0.1")
        store.run([read_transition(KEY)])
        server.pause()
        since = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.run([read_transition(KEY)])
        assert time.monotonic() - since < 0.9
