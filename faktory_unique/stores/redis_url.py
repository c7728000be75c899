"""Parse a store URL (`redis://`, `rediss://`, `unix://`) and its options for redis-py.

Mistakes that redis-py would ignore are errors here: unknown options, options that have no effect on
a store, a wrong database number.
"""

from __future__ import annotations

import re
from inspect import signature
from urllib.parse import parse_qs, urlsplit

import redis

from faktory_unique._util import short_repr

DEFAULT_MAX_CONNECTIONS = 20

_OPTIONS = {
    *("db", "username", "password", "client_name", "max_connections", "health_check_interval"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive"),
    # These have no effect on locks. A program may use one URL for its store and for other clients.
    *("encoding", "encoding_errors", "decode_responses", "protocol", "legacy_responses"),
    "socket_read_size",
}
_POSITIVE = {"max_connections", "socket_timeout", "socket_connect_timeout"}


def connection_pool(url: str) -> redis.ConnectionPool:
    """Return a pool, not yet connected, for the URL of a Redis server.

    Raises:
        ValueError: a part of the URL is not allowed, or an option is unknown. If an unescaped
            password makes the URL unreadable, the message shows no part of the URL: each part can
            be a piece of the password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _unescaped_password_error(url) from None
    if "@" in parts.path + parts.query + parts.fragment:  # the password has a /, ? or #
        raise _unescaped_password_error(url)
    if parts.scheme != "unix" and not re.fullmatch(r"(/\d*)?", parts.path):
        raise ValueError(
            "the path after host and port is not a database number; write for example /0"
        )
    options = parse_qs(parts.query)
    for name in options:
        _check_option(name, parts.scheme)
    try:
        pool = redis.ConnectionPool.from_url(url)
    except ValueError as exc:
        if "Port " in str(exc):
            raise ValueError("the port is not a number from 0 to 65535") from None
        raise
    for name in options.keys() & _POSITIVE:
        if not float(options[name][0]) > 0:
            raise ValueError(f"{name} is not above 0")
    if "max_connections" not in options:
        pool.max_connections = DEFAULT_MAX_CONNECTIONS
    return pool


def _check_option(name: str, scheme: str) -> None:
    """Check that a URL of this scheme may have an option.

    Raises:
        ValueError: it may not.
    """
    if name not in signature(redis.Redis).parameters:
        raise ValueError(f"redis-py has no option {short_repr(name)}")
    if name.startswith("ssl_"):
        if scheme != "rediss":
            raise ValueError(f"{name} needs a rediss:// URL")
    elif name == "ssl":
        raise ValueError("write rediss:// instead of the option ssl")
    elif name not in _OPTIONS:
        raise ValueError(f"the option {name} of redis-py has no effect on a store; leave it out")


def _unescaped_password_error(url: str) -> ValueError:
    return ValueError(
        f"this {url.partition('://')[0]}:// URL cannot be read; percent-encode its password with "
        "urllib.parse.quote(password, safe=''), and any @ except the one before the host"
    )
