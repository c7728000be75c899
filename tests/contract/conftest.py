"""Every store, and helpers that look at a server without going through the store."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
import redis

from faktory_unique.locks.transition import Transition, read_transition
from faktory_unique.stores.factory import open_store
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.stores.redis import RedisStore

if TYPE_CHECKING:
    from faktory_unique.stores.base import Store

KEY = "unique:1:Email:abc"
OWNER = "jid-00000001"
OTHER = "jid-00000002"


@pytest.fixture(
    params=[
        *(
            pytest.param(kind, marks=pytest.mark.redis)
            for kind in ("redis", "redis 6.2", "unix socket", "client")
        ),
        "memory",
    ]
)
def store(request):
    match request.param:
        case "memory":
            opened = open_store("memory://")
        case "redis 6.2":
            server = request.getfixturevalue("old_redis_server")
            with redis.Redis.from_url(server.url) as client:
                client.flushall()
            opened = open_store(server.url)
        case kind:
            url = request.getfixturevalue("redis_url")
            if kind == "unix socket":
                url = request.getfixturevalue("redis_server").unix_url
            opened = open_store(redis.Redis.from_url(url) if kind == "client" else url)
    yield opened
    opened.close()


def ttl(store: Store, key: str = KEY) -> float:
    """Seconds until the lock lapses; 0 if there is no lock."""
    if isinstance(store, MemoryStore):
        return store.ttl(key) or 0
    with raw(store) as client:
        return client.pttl(key) / 1000


@pytest.fixture
def new_store():
    """`new_store(url)` opens a `RedisStore` that is closed after the test.

    An exception that a test keeps refers to the store. It would be closed by the garbage collector,
    perhaps after the tests, and then its socket warns.
    """
    with ExitStack() as stack:

        def new(url):
            return stack.enter_context(closing(RedisStore(url)))

        yield new


def raw(store: RedisStore) -> redis.Redis:
    options = {n: v for n, v in store._options.kwargs.items() if n != "retry"}
    if "path" in options:
        options["unix_socket_path"] = options.pop("path")
    return redis.Redis(**options)


def each(store: Store, *transitions: Transition) -> list[str | None]:
    """Run transitions of one key one after the other, since a batch guarantees no order."""
    return [store.run([transition])[0] for transition in transitions]


def value(store: Store, key: str = KEY) -> str | None:
    return store.run([read_transition(key)])[0]


def commands_seen(url, act):
    """The commands that a new store sends while it acts, without those of its login."""
    with closing(RedisStore(url)) as store, redis.Redis.from_url(url) as client:
        store.run([read_transition("warm-up")])
        return _commands_seen(store, client, act)


def _commands_seen(store, client, act):
    with client.monitor() as monitor:
        act(store)
        client.ping()
        seen = []
        for command in monitor.listen():
            if command["command"] in {"PING", "CLIENT SETINFO LIB-NAME", "INFO"}:
                break
            if command["client_type"] != "lua":
                seen.append(command["command"])
    return [c for c in seen if not c.startswith(("CLIENT ", "HELLO", "SELECT"))]
