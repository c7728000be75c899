"""What a store takes from a URL and from a ready client, and what it refuses."""

from __future__ import annotations

from contextlib import closing

import fakeredis
import pytest
import redis
import redis.asyncio
from redis.connection import Connection
from redis.sentinel import Sentinel

from faktory_unique import InvalidSettings, Policy, Unique
from faktory_unique.locks.lifecycle import (
    acquire_transition,
    confirm_transition,
    release_transition,
)
from faktory_unique.stores import redis_options
from faktory_unique.stores.factory import open_store
from tests.unit.push_helpers import Faktory, job

KEY, OWNER = "unique:1:Email:abc", "jid-00000001"


def lock_and_release(setting):
    """Run the life of one lock. Return the values found."""
    steps = [
        acquire_transition(KEY, OWNER, 60),
        confirm_transition(KEY, OWNER, 60),
        release_transition(KEY, OWNER),
    ]
    with closing(open_store(setting)) as store:
        return [store.run([step])[0] for step in steps]


LIFE = [None, f"{OWNER}?", OWNER]


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("redis://h?retry_on_timeout=true", "option retry_on_timeout of redis-py has no"),
            ("redis://h?retry=3", "option retry of redis-py has no effect on a store"),
            ("redis://h?host=other", "option host of redis-py has no effect on a store"),
            ("redis://h?ssl=true", "write rediss:// instead of the option ssl"),
            ("redis://h?ssl_ca_certs=ca.pem", "ssl_ca_certs needs a rediss:// URL"),
            ("redis://h?no_such_option=1", "redis-py has no option 'no_such_option'"),
            ("redis://h?max_connections=0", "max_connections"),
            ("redis://h?max_connections=-1", "max_connections"),
            ("redis://h?socket_timeout=0", "socket_timeout is not above 0"),
            ("redis://h?socket_connect_timeout=-1", "socket_connect_timeout is not above 0"),
            ("rediss://h?ssl_cert_reqs=maybe", "SSLConnection of redis-py refuses this: "),
        ],
    )
    def test_option_that_cannot_work_is_refused(self, url, message):
        """redis-py would ignore it, or fail at the first push."""
        with pytest.raises(InvalidSettings, match=message):
            Unique(url)

    @pytest.mark.parametrize(
        "option",
        ["decode_responses=true", "encoding=latin-1", "client_name=app", "health_check_interval=5"],
    )
    def test_option_that_other_clients_need_works(self, redis_url, option):
        assert lock_and_release(f"{redis_url}?{option}") == LIFE

    def test_bounds_have_defaults(self):
        server = open_store("redis://h")._options
        assert (server.connect_seconds, server.reply_seconds) == (0.5, 1)
        assert server.max_connections == 20


class TestClient:
    def test_defaults_of_redis_py_are_no_choice(self):
        """They differ by version, and are longer than a push may wait."""
        server = open_store(redis.Redis())._options
        assert (server.connect_seconds, server.reply_seconds) == (0.5, 1)
        assert server.max_connections == 20

    def test_chosen_bounds_are_kept(self):
        client = redis.Redis(socket_timeout=3, socket_connect_timeout=2, max_connections=7)
        server = open_store(client)._options
        assert (server.connect_seconds, server.reply_seconds) == (2, 3)
        assert server.max_connections == 7

    def test_connect_function_is_called(self, redis_url):
        names = []

        def log_in(connection):
            names.append("called")
            connection.on_connect()

        client = redis.Redis.from_url(redis_url, redis_connect_func=log_in)
        assert lock_and_release(client) == LIFE
        assert names == ["called"]

    def test_connection_class_with_its_own_options_works(self, redis_url):
        """Its methods are used: it may count, trace, or reach the server by other ways."""
        sent = []

        class Traced(Connection):
            def __init__(self, *args, trace, **options):
                self._trace = trace
                super().__init__(*args, **options)

            def send_command(self, *args, **options):
                self._trace.append(args[0])
                super().send_command(*args, **options)

        pool = redis.ConnectionPool.from_url(
            redis_url, connection_class=Traced, trace=sent, decode_responses=True
        )
        assert lock_and_release(redis.Redis(connection_pool=pool)) == LIFE
        assert sent.count("EVALSHA") >= 2

    def test_errors_of_its_connection_class_are_replies(self, redis_url):
        class Own(Connection):
            pass

        pool = redis.ConnectionPool.from_url(redis_url, connection_class=Own)
        with redis.Redis(connection_pool=pool) as client, closing(open_store(client)) as store:
            client.script_flush()
            client.set(KEY, OWNER)
            assert store.run([release_transition(KEY, OWNER)]) == [OWNER]

    def test_fakeredis_keeps_locks(self):
        client = fakeredis.FakeRedis()
        with Unique(client, default=Policy()) as unique:
            [first] = unique.push([job()], Faktory())
            [second] = unique.push([job(jid="jid-00000002")], Faktory())
            assert (first.status, second.status) == ("pushed", "duplicate")
            assert client.get(first.key) == b"jid-00000001"
            assert unique.release("Email", [1])
            assert client.get(first.key) is None

    def test_fakeredis_without_lua_is_refused(self, monkeypatch):
        monkeypatch.setattr(redis_options, "find_spec", lambda _name: None)
        with pytest.raises(InvalidSettings, match="fakeredis runs no Lua script without"):
            Unique(fakeredis.FakeRedis())

    def test_asyncio_client_is_refused_by_its_full_name(self):
        with pytest.raises(InvalidSettings, match=r"redis\.asyncio\.client\.Redis with a"):
            Unique(redis.asyncio.Redis())

    def test_sentinel_client_is_refused_by_its_full_name(self):
        client = Sentinel([("127.0.0.1", 1)]).master_for("main")
        message = r"redis\.client\.Redis with a redis\.sentinel\.SentinelConnectionPool is not"
        with pytest.raises(InvalidSettings, match=message):
            Unique(client)
