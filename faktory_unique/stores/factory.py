"""Where locks live."""

from __future__ import annotations

import re
from collections.abc import Mapping

from redis import Redis
from redis.sentinel import SentinelConnectionPool

from faktory_unique.errors import InvalidSettings

from .base import Store
from .memory import MemoryStore, shared
from .redis import RedisStore


def open_store(where: object) -> Store:
    """The store that a setting means; nothing is connected before its first use.

    Args:
        where: a `redis://`, `rediss://`, `unix://` or `memory://` URL, a ready `redis.Redis`, or
            a `Store`.

    Raises:
        InvalidSettings: it is none of these.
    """
    if isinstance(where, str):
        if where.startswith("memory://"):
            return _in_memory(where.removeprefix("memory://"))
        if where.partition("://")[0] in {"redis", "rediss", "unix"}:
            try:
                return RedisStore(where)
            except ValueError as exc:
                raise InvalidSettings(f"store: {exc}") from None
    sentinel = isinstance(getattr(where, "connection_pool", None), SentinelConnectionPool)
    if isinstance(where, Redis) and not sentinel:
        return RedisStore(where)
    if isinstance(where, Store) and not sentinel:
        return where
    if where is None:
        raise InvalidSettings(
            "store: not set; pass store='redis://…' or set FAKTORY_UNIQUE_STORE, "
            "so that all producers and workers share one"
        )
    raise InvalidSettings(
        f"store: {_told(where)} is no store; pass a redis://, rediss://, unix:// or memory:// URL, "
        "a redis.Redis or a Store (Cluster and Sentinel are still to come)"
    )


def _in_memory(name: str) -> MemoryStore:
    """A new store, or the one of this process that bears the name."""
    store = shared(name) if name else MemoryStore()
    if store is None:
        raise InvalidSettings(
            f"store: this process has no memory store {name!r} (the locks of a fake Faktory stay "
            "in its own process); memory:// alone makes a new one, redis:// is shared by processes"
        )
    return store


def _told(where: object) -> str:
    """What was given, without what could be a password."""
    if isinstance(where, Mapping):
        return "a mapping (meant as policies=?)"
    if not isinstance(where, str):
        return type(where).__name__
    scheme = re.match(r"[a-z][a-z+]*://", where)
    return f"a {scheme[0]} URL" if scheme else "this text"
