"""Parse a store URL (`redis://`, `rediss://`, `unix://`) and its options for redis-py.

Mistakes that redis-py would ignore are errors here: unknown options, a wrong database number.
"""

from __future__ import annotations

import re
from inspect import signature
from urllib.parse import parse_qs, urlsplit

import redis

from faktory_unique._util import short_repr


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
    for name in parse_qs(parts.query):
        if name not in signature(redis.Redis).parameters:
            raise ValueError(f"redis-py has no option {short_repr(name)}")
    try:
        return redis.ConnectionPool.from_url(url)
    except ValueError as exc:
        if "Port " in str(exc):
            raise ValueError("the port is not a number from 0 to 65535") from None
        raise


def _unescaped_password_error(url: str) -> ValueError:
    return ValueError(
        f"this {url.partition('://')[0]}:// URL cannot be read; percent-encode its password with "
        "urllib.parse.quote(password, safe=''), and any @ except the one before the host"
    )
