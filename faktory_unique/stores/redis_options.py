"""`ServerOptions`: what a URL or a ready client says about its server, in redis-py's options.

An option that a store cannot honour is refused here, not dropped.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from importlib.util import find_spec
from inspect import signature
from math import inf
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError
from redis.retry import Retry

from faktory_unique._util import log

from .redis_url import DEFAULT_MAX_CONNECTIONS, connection_pool

# Seconds, used if neither URL nor client sets them. Together they are below the two seconds within
# which a producer must learn that its Redis hangs, and far below a lease.
_CONNECT_TIMEOUT_SECONDS = 0.5
_REPLY_TIMEOUT_SECONDS = 1.0

# A client with redis-py's own defaults, which differ by version, has not chosen anything.
_REDIS_PY_MAX_CONNECTIONS = 100  # or 2³¹
_REDIS_PY_TIMEOUT = signature(redis.Redis).parameters["socket_timeout"].default

_TIMEOUTS = ("socket_connect_timeout", "socket_timeout")

_COPIED = {
    *("host", "port", "path", "db", "username", "password", "credential_provider", "client_name"),
    *("socket_keepalive", "socket_keepalive_options", "socket_type", "redis_connect_func"),
    *("driver_info",),
}
_OWN_CLASSES = (Connection, SSLConnection, UnixDomainSocketConnection)


@dataclass(frozen=True)
class ServerOptions:
    """The address of a server, the login, and the bounds of a store's calls.

    Attributes:
        connection_class: the class that opens connections.
        kwargs: the arguments of that class.
        connect_seconds: how long opening a connection may take.
        reply_seconds: how long the rest of a call may take.
        max_connections: how many connections the store may use at a time.
        longest_idle: seconds after which an idle connection is not used again.
    """

    connection_class: type[redis.Connection]
    kwargs: dict[str, Any]
    connect_seconds: float
    reply_seconds: float
    max_connections: int
    longest_idle: float

    @property
    def address(self) -> str:
        """The server's host and port, or the path of its socket."""
        host, port = self.kwargs.get("host", "localhost"), self.kwargs.get("port", 6379)
        return self.kwargs.get("path") or f"{host}:{port}"

    @property
    def is_redis_py(self) -> bool:
        """Whether the class is redis-py's own, so that its socket can be used directly."""
        return self.connection_class in _OWN_CLASSES

    def connection(self, seconds: float) -> redis.Connection:
        """Return a new connection, not open yet, that opens within some seconds."""
        timeouts = {
            "socket_connect_timeout": min(seconds, self.connect_seconds),
            "socket_timeout": seconds,
        }
        return self.connection_class(**{**self.kwargs, **timeouts})


def server_options(server: str | redis.Redis) -> ServerOptions:
    """Return the options of a URL or a ready client.

    A client's retries, its encoding and its protocol are its own business: they are not used.

    Raises:
        ValueError: a part of the URL is not allowed, an option is unknown or cannot be honoured.
    """
    pool = connection_pool(server) if isinstance(server, str) else server.connection_pool
    given, connection_class = pool.connection_kwargs, pool.connection_class
    if connection_class in _OWN_CLASSES:
        kwargs = {n: v for n, v in given.items() if n in _COPIED or n.startswith("ssl_")}
    else:
        _check_runs_scripts(connection_class)
        kwargs = {**given, "decode_responses": False}
    if connection_class is SSLConnection:
        _check_host_name(kwargs, is_url=isinstance(server, str))
    kwargs |= {
        "protocol": 2,  # one reply a command, nothing pushed in between
        "retry": Retry(NoBackoff(), 0),  # a caller waits for one attempt, not for several
    }
    is_chosen = pool.max_connections < _REDIS_PY_MAX_CONNECTIONS or isinstance(server, str)
    unset = {None} if isinstance(server, str) else {None, _REDIS_PY_TIMEOUT}
    seconds = {n: v for n, v in given.items() if n in _TIMEOUTS and v not in unset}
    options = ServerOptions(
        connection_class,
        kwargs,
        connect_seconds=seconds.get("socket_connect_timeout", _CONNECT_TIMEOUT_SECONDS),
        reply_seconds=seconds.get("socket_timeout", _REPLY_TIMEOUT_SECONDS),
        max_connections=pool.max_connections if is_chosen else DEFAULT_MAX_CONNECTIONS,
        longest_idle=given.get("health_check_interval") or inf,
    )
    try:
        options.connection(1)
    except (RedisError, TypeError) as exc:
        raise ValueError(f"{connection_class.__name__} of redis-py refuses this: {exc}") from exc
    return options


def _check_host_name(kwargs: dict[str, Any], *, is_url: bool) -> None:
    """Ask for the check that a certificate is for this host: redis-py before 6.0 makes none.

    The choice of a client's author is kept: it looks the same as that default.
    """
    verifies = kwargs.get("ssl_cert_reqs", "required") not in {None, "none", ssl.CERT_NONE}
    if is_url:
        kwargs.setdefault("ssl_check_hostname", verifies)
    if verifies and not kwargs.get("ssl_check_hostname", True):
        log.warning(
            "TLS without a check of the host name: store=%s:%s; pass ssl_check_hostname=True",
            *(kwargs.get("host"), kwargs.get("port")),
        )


def _check_runs_scripts(connection_class: type) -> None:
    if connection_class.__module__.startswith("fakeredis") and find_spec("lupa") is None:
        raise ValueError("fakeredis runs no Lua script without its extra 'lua'; or use memory://")
