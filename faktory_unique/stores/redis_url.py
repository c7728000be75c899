"""What redis-py reads out of a URL, with errors for what it would pass over in silence."""

from __future__ import annotations

import re
from inspect import signature
from urllib.parse import parse_qs, urlsplit

import redis

from faktory_unique._util import short_repr


def pool_of(url: str) -> redis.ConnectionPool:
    """A pool, not yet connected, as a `redis://`, `rediss://` or `unix://` URL says.

    Raises:
        ValueError: a part is impossible, or an option unknown. Of a URL that its password cuts,
            each part can be a piece of the password: none is shown.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _cut(url) from None
    if "@" in parts.path + parts.query + parts.fragment:  # a /, ? or # stood before it
        raise _cut(url)
    if parts.scheme != "unix" and not re.fullmatch(r"(/\d*)?", parts.path):
        raise ValueError("what follows host and port is no database number; write for example /0")
    for name in parse_qs(parts.query):
        if name not in signature(redis.Redis).parameters:
            raise ValueError(f"redis-py has no option {short_repr(name)}")
    try:
        return redis.ConnectionPool.from_url(url)
    except ValueError as exc:
        if "Port " in str(exc):
            raise ValueError("its port is no number from 0 to 65535") from None
        raise


def _cut(url: str) -> ValueError:
    return ValueError(
        f"this {url.partition('://')[0]}:// URL cannot be read; percent-encode its password, by "
        "urllib.parse.quote(password, safe=''), and any other @ but the one before the host"
    )
