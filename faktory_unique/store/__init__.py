"""Where locks live."""

from __future__ import annotations

from redis import Redis
from redis.sentinel import SentinelConnectionPool

from faktory_unique.errors import InvalidSettings

from .contract import Store
from .memory import MemoryStore
from .redis import RedisStore

__all__ = ["MemoryStore", "RedisStore", "Store", "open_store"]


def open_store(where: object) -> Store:
    """The store that a setting means; nothing is connected before its first use.

    Args:
        where: a `redis://`, `rediss://`, `unix://` or `memory://` URL, a ready `redis.Redis`, or
            a `Store`.

    Raises:
        InvalidSettings: it is none of these.
    """
    if isinstance(where, str):
        if where == "memory://":
            return MemoryStore()
        if where.partition("://")[0] in {"redis", "rediss", "unix"}:
            try:
                return RedisStore(where)
            except ValueError as exc:
                raise InvalidSettings(f"store: {exc}") from exc
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
    told = where.partition("://")[0] + "://…" if isinstance(where, str) else type(where).__name__
    raise InvalidSettings(
        f"store: {told} is no store; pass a redis://, rediss://, unix:// or memory:// URL, "
        "a redis.Redis or a Store (Cluster and Sentinel are still to come)"
    )
