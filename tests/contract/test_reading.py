"""`Store.read` and `Store.scan`, of every store."""

from __future__ import annotations

import pytest

from faktory_unique import StoreError, StoreUnavailable
from faktory_unique.locks.transition import Transition
from faktory_unique.stores.memory import MemoryStore
from scripts.servers import free_port
from tests.contract.conftest import KEY, OTHER, OWNER, raw
from tests.patience import wait_for


def put(store, *keys, seconds=600):
    store.run([Transition(key, (None,), OWNER, seconds) for key in keys])


def scanned(store, prefix):
    return sorted({key for page in store.scan(prefix) for key in page})


class TestRead:
    def test_read_returns_values_and_seconds_left_in_order(self, store):
        put(store, f"{KEY}1", seconds=100)
        store.run([Transition(f"{KEY}2", (None,), f"{OTHER}?", 30)])
        second, none, first = store.read([f"{KEY}2", KEY, f"{KEY}1"])
        assert (second[0], none, first[0]) == (f"{OTHER}?", None, OWNER)
        assert 29 < second[1] <= 30
        assert 99 < first[1] <= 100

    def test_read_of_no_keys_returns_nothing(self, store):
        assert store.read([]) == []

    def test_a_key_given_twice_is_returned_twice(self, store):
        put(store, KEY)
        first, second = store.read([KEY, KEY])
        assert first[0] == second[0] == OWNER

    def test_a_lapsed_lock_is_none(self, store):
        put(store, KEY, seconds=1)
        wait_for(lambda: store.read([KEY]) == [None])

    def test_keys_of_any_text_are_read(self, store):
        key = "unique:1:Grüße 🎉\r\n\x00:abc"
        put(store, key)
        assert store.read([key])[0][0] == OWNER


class TestScan:
    def test_scan_returns_only_keys_with_the_prefix(self, store):
        put(store, f"{KEY}1", f"{KEY}2", "unique:1:Other:abc", f"{{{KEY}}}:run")
        assert scanned(store, KEY) == [f"{KEY}1", f"{KEY}2"]
        assert scanned(store, f"{KEY}1") == [f"{KEY}1"]
        assert scanned(store, "nothing:") == []
        assert len(scanned(store, "")) == 4

    @pytest.mark.parametrize("sign", list("*?[]\\^-{}"))
    def test_a_glob_character_in_the_prefix_is_literal(self, store, sign):
        prefix = f"unique:1:a{sign}c:"
        put(store, f"{prefix}1", "unique:1:abc:1", "unique:1:ac:1", "unique:1:a:1")
        assert scanned(store, prefix) == [f"{prefix}1"]

    def test_brackets_in_the_prefix_are_literal(self, store):
        put(store, "unique:1:[ab]*:1", "unique:1:a:1", "unique:1:a*:1")
        assert scanned(store, "unique:1:[ab]*:") == ["unique:1:[ab]*:1"]

    def test_scan_returns_more_keys_than_one_page(self, store):
        keys = [f"{KEY}:{n:04}" for n in range(2500)]
        put(store, *keys)
        assert scanned(store, KEY) == keys

    def test_scan_skips_a_lapsed_lock(self, store):
        put(store, f"{KEY}1", seconds=1)
        put(store, f"{KEY}2")
        wait_for(lambda: scanned(store, KEY) == [f"{KEY}2"])

    def test_keys_of_any_text_are_returned_unchanged(self, store):
        key = "unique:1:Grüße 🎉\r\n\x00:abc"
        put(store, key)
        assert scanned(store, "unique:1:Grüße") == [key]


READ_AND_SCAN = pytest.mark.parametrize(
    "query",
    [lambda store: store.read([KEY]), lambda store: list(store.scan(KEY))],
    ids=["read", "scan"],
)


class TestErrors:
    @READ_AND_SCAN
    def test_a_server_that_is_down_raises_unavailable(self, query, new_store):
        with pytest.raises(StoreUnavailable, match=r"no reply from Redis at 127\.0\.0\.1:"):
            query(new_store(f"redis://127.0.0.1:{free_port()}/0"))

    @READ_AND_SCAN
    def test_a_server_that_hangs_raises_unavailable(self, new_redis, query, new_store):
        server = new_redis()
        store = new_store(f"{server.url}?socket_timeout=0.2")
        query(store)
        server.pause()
        with pytest.raises(StoreUnavailable):
            query(store)
        assert not store._pool._idle

    @READ_AND_SCAN
    def test_a_refused_login_raises_store_error(self, new_redis, query, new_store):
        store = new_store(new_redis(password="s3cret").url.replace("s3cret", "wr0ng"))
        with pytest.raises(StoreError, match="refused the login") as caught:
            query(store)
        assert not isinstance(caught.value, StoreUnavailable)

    @READ_AND_SCAN
    def test_a_refused_command_raises_store_error(self, redis_url, query, new_store):
        """By the permissions of a Redis user that may only run scripts."""
        store = new_store(redis_url.replace("redis://", "redis://mere:any@"))
        refusal = r"Redis at \S+ refused \d of \d commands: "
        with raw(new_store(redis_url)) as admin:
            admin.acl_setuser("mere", enabled=True, nopass=True, keys=["*"], commands=["+evalsha"])
            try:
                with pytest.raises(StoreError, match=refusal) as caught:
                    query(store)
            finally:
                admin.acl_deluser("mere")
        assert not isinstance(caught.value, StoreUnavailable)

    def test_a_key_of_another_type_is_read_as_no_lock(self, redis_url, new_store):
        """It belongs to another program. The locks beside it are still read."""
        store = new_store(redis_url)
        with raw(store) as client:
            client.rpush(KEY, "no lock")
        put(store, f"{KEY}2")
        found = store.read([KEY, f"{KEY}2"])
        assert found[0] is None
        assert found[1] is not None

    @READ_AND_SCAN
    def test_the_store_works_after_a_server_restart(self, new_redis, query, new_store):
        server = new_redis()
        store = new_store(server.url)
        query(store)
        server.restart()
        query(store)
        put(store, KEY)
        assert scanned(store, KEY) == [KEY]


def test_a_memory_scan_sees_keys_set_before_its_first_page():
    store = MemoryStore()
    pages = store.scan("")
    put(store, KEY)
    assert list(pages) == [[KEY]]
