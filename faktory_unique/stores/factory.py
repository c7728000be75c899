"""`open_store`: the store class for a setting: by scheme, a `redis.Redis`, or a `Store`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from redis import Redis
from redis.sentinel import SentinelConnectionPool

from faktory_unique.errors import InvalidSettings

from .base import Store
from .memory import MemoryStore, lookup_store
from .redis import RedisStore


def open_store(setting: object) -> Store:
    """Return the store for a setting. It connects at its first use.

    Args:
        setting: a `redis://`, `rediss://`, `unix://` or `memory://` URL, a ready `redis.Redis`, or
            a `Store`, which is returned as it is.

    Raises:
        InvalidSettings: the setting is none of these, or a part of its URL is not allowed.
    """
    if isinstance(setting, str):
        if setting.startswith("memory://"):
            return _memory_store(setting.removeprefix("memory://"))
        if setting.partition("://")[0] in {"redis", "rediss", "unix"}:
            return _redis_store(setting)
    sentinel = isinstance(getattr(setting, "connection_pool", None), SentinelConnectionPool)
    if isinstance(setting, Redis) and not sentinel:
        return _redis_store(setting)
    if isinstance(setting, Store) and not sentinel:
        return setting
    if setting is None:
        raise InvalidSettings(
            "store: not set; pass store='redis://…' or set FAKTORY_UNIQUE_STORE, "
            "so that all producers and workers share one"
        )
    raise InvalidSettings(
        f"store: {_description(setting)} is not a store; pass a redis://, rediss://, unix:// or "
        "memory:// URL, a redis.Redis or a Store (Cluster and Sentinel are not supported yet)"
    )


def _redis_store(server: str | Redis) -> RedisStore:
    try:
        return RedisStore(server)
    except ValueError as exc:
        raise InvalidSettings(f"store: {exc}") from None


def _memory_store(name: str) -> MemoryStore:
    """Return the store that this process registered under the name; a new one if it is empty.

    Raises:
        InvalidSettings: this process has no store of this name.
    """
    store = lookup_store(name) if name else MemoryStore()
    if store is None:
        raise InvalidSettings(
            f"store: this process has no memory store {name!r} (the locks of a fake Faktory stay "
            "in its own process); use memory:// for a new one, or redis:// to share locks between "
            "processes"
        )
    return store


def _description(setting: object) -> str:
    """Return a description of a wrong setting, without text that could be a password."""
    if isinstance(setting, Mapping):
        return "a mapping (meant as policies=?)"
    if not isinstance(setting, str):
        pool = getattr(setting, "connection_pool", None)
        of_pool = f" with a {_full_name(pool)}" if pool is not None else ""
        return _full_name(setting) + of_pool
    scheme = re.match(r"[a-z][a-z+]*://", setting)
    return f"a {scheme[0]} URL" if scheme else "this text"


def _full_name(value: object) -> str:
    """Return the name of a value's class, with its module unless that is builtins."""
    module, name = type(value).__module__, type(value).__qualname__
    return name if module == "builtins" else f"{module}.{name}"
