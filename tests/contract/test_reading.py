"""What is read and scanned for people: one contract, kept by every store."""

from __future__ import annotations

import time

import pytest

from faktory_unique import StoreError, StoreUnavailable
from faktory_unique.locks.transition import Transition
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.stores.redis import RedisStore
from scripts.servers import free_port
from tests.contract.conftest import KEY, OTHER, OWNER, raw


def put(store, *keys, seconds=600):
    store.run([Transition(key, (None,), OWNER, seconds) for key in keys])


def scanned(store, beginning):
    return sorted({key for page in store.scan(beginning) for key in page})


class TestRead:
    def test_the_value_of_each_lock_and_the_seconds_it_has_left_in_order(self, store):
        put(store, f"{KEY}1", seconds=100)
        store.run([Transition(f"{KEY}2", (None,), f"{OTHER}?", 30)])
        second, none, first = store.read([f"{KEY}2", KEY, f"{KEY}1"])
        assert (second[0], none, first[0]) == (f"{OTHER}?", None, OWNER)
        assert 29 < second[1] <= 30
        assert 99 < first[1] <= 100

    def test_of_no_keys_it_is_nothing(self, store):
        assert store.read([]) == []

    def test_a_key_that_is_asked_for_twice_is_answered_twice(self, store):
        put(store, KEY)
        first, second = store.read([KEY, KEY])
        assert first[0] == second[0] == OWNER

    def test_a_lock_that_has_lapsed_is_none(self, store):
        put(store, KEY, seconds=1)
        deadline = time.monotonic() + 5
        while store.read([KEY]) != [None]:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_keys_of_any_text_are_read(self, store):
        key = "unique:1:Grüße 🎉\r\n\x00:abc"
        put(store, key)
        assert store.read([key])[0][0] == OWNER


class TestScan:
    def test_the_keys_that_begin_so_and_no_others(self, store):
        put(store, f"{KEY}1", f"{KEY}2", "unique:1:Other:abc", f"{{{KEY}}}:run")
        assert scanned(store, KEY) == [f"{KEY}1", f"{KEY}2"]
        assert scanned(store, f"{KEY}1") == [f"{KEY}1"]
        assert scanned(store, "nothing:") == []
        assert len(scanned(store, "")) == 4

    @pytest.mark.parametrize("sign", list("*?[]\\^-{}"))
    def test_a_sign_that_means_more_in_a_glob_means_itself(self, store, sign):
        beginning = f"unique:1:a{sign}c:"
        put(store, f"{beginning}1", "unique:1:abc:1", "unique:1:ac:1", "unique:1:a:1")
        assert scanned(store, beginning) == [f"{beginning}1"]

    def test_a_class_in_brackets_means_itself(self, store):
        put(store, "unique:1:[ab]*:1", "unique:1:a:1", "unique:1:a*:1")
        assert scanned(store, "unique:1:[ab]*:") == ["unique:1:[ab]*:1"]

    def test_more_keys_than_a_page_has_all_come(self, store):
        keys = [f"{KEY}:{n:04}" for n in range(2500)]
        put(store, *keys)
        assert scanned(store, KEY) == keys

    def test_a_lock_that_has_lapsed_does_not(self, store):
        put(store, f"{KEY}1", seconds=1)
        put(store, f"{KEY}2")
        deadline = time.monotonic() + 5
        while scanned(store, KEY) != [f"{KEY}2"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_keys_of_any_text_come_back_as_they_went(self, store):
        key = "unique:1:Grüße 🎉\r\n\x00:abc"
        put(store, key)
        assert scanned(store, "unique:1:Grüße") == [key]


ASKED = pytest.mark.parametrize(
    "ask",
    [lambda store: store.read([KEY]), lambda store: list(store.scan(KEY))],
    ids=["read", "scan"],
)


class TestErrors:
    @ASKED
    def test_a_server_that_is_away(self, ask):
        with pytest.raises(StoreUnavailable, match=r"no answer from Redis at 127\.0\.0\.1:"):
            ask(RedisStore(f"redis://127.0.0.1:{free_port()}/0"))

    @ASKED
    def test_a_server_that_does_not_answer_in_time(self, new_redis, ask):
        server = new_redis()
        store = RedisStore(f"{server.url}?socket_timeout=0.2")
        ask(store)
        server.pause()
        with pytest.raises(StoreUnavailable):
            ask(store)
        assert not store._idle

    @ASKED
    def test_a_login_that_is_refused(self, new_redis, ask):
        store = RedisStore(new_redis(password="s3cret").url.replace("s3cret", "wr0ng"))
        with pytest.raises(StoreError, match="refuses the login") as caught:
            ask(store)
        assert not isinstance(caught.value, StoreUnavailable)

    @ASKED
    def test_a_command_that_is_refused(self, redis_url, ask):
        """No permission, say: a user of Redis who may run the scripts alone."""
        admin = raw(RedisStore(redis_url))
        admin.acl_setuser("mere", enabled=True, nopass=True, keys=["*"], commands=["+evalsha"])
        store = RedisStore(redis_url.replace("redis://", "redis://mere:any@"))
        try:
            with pytest.raises(StoreError, match=r"Redis refused \d of \d commands: ") as caught:
                ask(store)
        finally:
            admin.acl_deluser("mere")
        assert not isinstance(caught.value, StoreUnavailable)

    def test_a_value_that_is_no_lock(self, redis_url):
        """It is somebody else's, and hides no lock from who asks for all."""
        store = RedisStore(redis_url)
        raw(store).rpush(KEY, "no lock")
        put(store, f"{KEY}2")
        found = store.read([KEY, f"{KEY}2"])
        assert found[0] is None
        assert found[1] is not None

    @ASKED
    def test_afterwards_the_store_goes_on(self, new_redis, ask):
        server = new_redis()
        store = RedisStore(server.url)
        ask(store)
        server.restart()
        ask(store)
        put(store, KEY)
        assert scanned(store, KEY) == [KEY]


def test_a_scan_of_memory_sees_what_is_there_when_it_is_asked():
    store = MemoryStore()
    pages = store.scan("")
    put(store, KEY)
    assert list(pages) == [[KEY]]
