"""`RedisStore`: locks in Redis (6.2 or newer) or Valkey; its idle connections and time-outs."""

from __future__ import annotations

import os
import re
from collections import deque
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from faktory_unique.errors import StoreError, StoreUnavailable

from .redis_commands import command_for
from .redis_connection import RedisConnection
from .redis_scripts import SCRIPTS
from .redis_url import connection_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import redis

    from faktory_unique.locks.transition import Transition

    from .redis_commands import Command
    from .redis_connection import Reply

# Seconds, used if neither URL nor client sets them. Together they are below the two seconds within
# which a producer must learn that its Redis hangs, and far below a lease.
_CONNECT_TIMEOUT_SECONDS = 0.5
_REPLY_TIMEOUT_SECONDS = 1.0

_SCAN_COUNT = 1_000  # keys that one SCAN looks at: well under a millisecond of Redis' time

_COPIED_OPTIONS = {
    *("host", "port", "path", "db", "username", "password", "credential_provider", "client_name"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options"),
}


class RedisStore:
    """A `Store` on one Redis or Valkey server.

    Args:
        server: a `redis://`, `rediss://` or `unix://` URL with redis-py's options, or a ready
            `redis.Redis`. Its address, login, TLS and time-outs are copied. The store opens
            connections of its own.

    Raises:
        ValueError: a part of the URL is not allowed, or an option is unknown. The message names it.
    """

    def __init__(self, server: str | redis.Redis) -> None:
        pool = connection_pool(server) if isinstance(server, str) else server.connection_pool
        given = pool.connection_kwargs
        options = {n: v for n, v in given.items() if n in _COPIED_OPTIONS or n.startswith("ssl_")}
        if options.get("socket_timeout") is None:
            options["socket_timeout"] = _REPLY_TIMEOUT_SECONDS
        if options.get("socket_connect_timeout") is None:
            options["socket_connect_timeout"] = _CONNECT_TIMEOUT_SECONDS
        self._options: dict[str, Any] = {
            **options,
            "protocol": 2,  # one reply a command, nothing pushed in between
            "retry": Retry(NoBackoff(), 0),  # a caller waits for one attempt, not for several
        }
        self._connection_class = pool.connection_class
        self._idle: deque[RedisConnection] = deque()
        self._busy: set[RedisConnection] = set()
        self._pid = os.getpid()
        self._has_set_nx_get = True  # Redis ≥ 7.0; False once a server has replied with an error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._address}>"

    def run(self, transitions: Sequence[Transition]) -> list[str | None]:
        """Apply each transition; see `Store.run`."""
        if not transitions:
            return []
        replies = self._with_connection(partial(self._send_transitions, transitions=transitions))
        try:
            self._raise_errors(replies)
        except StoreError as exc:
            exc.done = tuple(
                transition
                for transition, reply in zip(transitions, replies, strict=True)
                if not isinstance(reply, ResponseError) and transition.applied(_text(reply))
            )
            raise
        return [_text(reply) for reply in replies]

    def read(self, keys: Sequence[str]) -> list[tuple[str, float] | None]:
        """Return the value of each lock and the seconds until it lapses; see `Store.read`."""
        commands = [command for key in keys for command in (("GET", key), ("PTTL", key))]
        replies = self._with_connection(partial(self._send, commands=commands))
        # A key of another type is not a lock: another program wrote it.
        replies = [None if _is_wrong_type(reply) else reply for reply in replies]
        self._raise_errors(replies)
        return [
            # -1: the key has no TTL. Another program removed it: every lock of ours has one.
            value and (value.decode("utf-8", "replace"), inf if left < 0 else left / 1_000)
            for value, left in zip(replies[::2], replies[1::2], strict=True)
        ]

    def scan(self, prefix: str) -> Iterator[Sequence[str]]:
        """Yield the keys that start with a prefix, in pages; see `Store.scan`."""
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
        cursor = b"0"
        while True:
            command = ("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
            replies = self._with_connection(partial(self._send, commands=[command]))
            self._raise_errors(replies)
            cursor, keys = replies[0]
            yield [key.decode("utf-8", "replace") for key in keys]
            if cursor == b"0":
                return

    def close(self) -> None:
        """Close idle connections; a later `run` opens new ones."""
        while self._idle:
            self._idle.pop().close()

    @property
    def _address(self) -> str:
        path = self._options.get("path")
        host, port = self._options.get("host", "localhost"), self._options.get("port", 6379)
        return path or f"{host}:{port}"

    def _checkout(self) -> RedisConnection:
        """Return an idle connection, or open one."""
        self._reset_after_fork()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return RedisConnection(self._connection_class(**self._options))
            if connection.is_idle():
                return connection
            connection.close()

    def _with_connection(self, exchange: Callable[[RedisConnection], list[Reply]]) -> list[Reply]:
        """Run an exchange on a connection that no other thread uses at the same time.

        Args:
            exchange: sends commands on the connection and returns their replies.

        Raises:
            StoreUnavailable: no connection could be made, or Redis did not reply in time.
            StoreError: Redis refused the login.
        """
        try:
            connection = self._checkout()
            try:
                self._busy.add(connection)
                replies = exchange(connection)
            except BaseException:  # a reply can still arrive, which no other command may read
                connection.close()
                raise
            finally:
                self._busy.discard(connection)
        except (AuthenticationError, AuthorizationError, ResponseError) as exc:
            raise StoreError(f"Redis at {self._address} refused the login: {exc}") from exc
        except (RedisError, OSError) as exc:
            raise StoreUnavailable(f"no reply from Redis at {self._address}: {exc}") from exc
        self._idle.append(connection)
        return replies

    def _send(self, connection: RedisConnection, commands: Iterable[Command]) -> list[Reply]:
        """Send commands and return their replies. Poll only if no other thread waits for a reply.

        Polling would take the processor from the other thread.
        """
        return connection.exchange(commands, busy_poll=len(self._busy) == 1)

    def _send_transitions(
        self, connection: RedisConnection, transitions: Sequence[Transition]
    ) -> list[Reply]:
        replies = self._send(connection, self._commands(transitions))
        if _errors(replies):
            self._send_again(connection, transitions, replies)
        return replies

    def _send_again(
        self, connection: RedisConnection, transitions: Sequence[Transition], replies: list[Reply]
    ) -> None:
        """Send again the commands that an older or restarted server did not know.

        Their first send changed nothing. Their new replies replace the old ones in `replies`.
        """
        if any(_is_syntax_error(reply) for reply in replies):
            self._has_set_nx_get = False
        unknown = [
            i for i, r in enumerate(replies) if isinstance(r, NoScriptError) or _is_syntax_error(r)
        ]
        if unknown:
            loads = [("SCRIPT", "LOAD", script.text) for script in SCRIPTS]
            commands = [*loads, *self._commands([transitions[i] for i in unknown])]
            new_replies = self._send(connection, commands)[len(loads) :]
            for i, reply in zip(unknown, new_replies, strict=True):
                replies[i] = reply

    def _commands(self, transitions: Iterable[Transition]) -> Iterator[Command]:
        nx_get = self._has_set_nx_get
        return (command_for(transition, nx_get=nx_get) for transition in transitions)

    def _raise_errors(self, replies: list[Reply]) -> None:
        errors = _errors(replies)
        if errors:
            raise StoreError(
                f"Redis at {self._address} refused {len(errors)} of {len(replies)} commands: "
                f"{errors[0]}"
            ) from errors[0]

    def _reset_after_fork(self) -> None:
        """In a forked child, forget the connections of its parent."""
        if self._pid != os.getpid():
            self._idle, self._busy = deque(), set()
            self._pid = os.getpid()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _is_wrong_type(reply: Reply) -> bool:
    return isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE")


def _is_syntax_error(reply: Reply) -> bool:
    return isinstance(reply, ResponseError) and str(reply).lower().startswith("syntax error")


def _errors(replies: list[Reply]) -> list[ResponseError]:
    return [reply for reply in replies if isinstance(reply, ResponseError)]
