"""Locks in Redis (6.2 or newer) or Valkey: packed by hiredis, on connections of the store's own."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import hiredis
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

from .script import CHANGE, CHANGE_SHA
from .url import pool_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from faktory_unique.change import Change

Command: TypeAlias = tuple[str | bytes | int, ...]
Reply: TypeAlias = str | ResponseError | None

# Seconds, where neither URL nor client says: together below two, within which a producer is to know
# that its Redis hangs, and far below a lease.
CONNECT_TIMEOUT = 0.5
ANSWER_TIMEOUT = 1.0

_TAKEN_OVER = {
    *("host", "port", "path", "db", "username", "password", "credential_provider", "client_name"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options"),
}


class RedisStore:
    """A `Store` on one Redis or Valkey server.

    Args:
        server: a `redis://`, `rediss://` or `unix://` URL with redis-py's options, or a ready
            `redis.Redis`, whose address, login, TLS and time-outs are taken over. Connections
            are the store's own.

    Raises:
        ValueError: the URL has an impossible part; the message names it.
    """

    def __init__(self, server: str | redis.Redis) -> None:
        pool = pool_of(server) if isinstance(server, str) else server.connection_pool
        given = pool.connection_kwargs
        options = {n: v for n, v in given.items() if n in _TAKEN_OVER or n.startswith("ssl_")}
        if options.get("socket_timeout") is None:
            options["socket_timeout"] = ANSWER_TIMEOUT
        if options.get("socket_connect_timeout") is None:
            options["socket_connect_timeout"] = CONNECT_TIMEOUT
        self._options: dict[str, Any] = {
            **options,
            "protocol": 2,  # one reply a command, nothing pushed in between
            "retry": Retry(NoBackoff(), 0),  # a caller waits for one attempt, not for several
        }
        self._connection_class = pool.connection_class
        self._idle: deque[redis.Connection] = deque()
        self._pid = os.getpid()
        self._has_set_nx_get = True  # Redis ≥ 7.0; found out by asking

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._place}>"

    def run(self, changes: Sequence[Change]) -> list[str | None]:
        """Carries out each change; see `Store.run`."""
        if not changes:
            return []
        try:
            connection = self._connection()
            try:
                replies = self._exchange(connection, changes)
            except BaseException:
                # A reply may still be under way: nobody else may read it as theirs.
                connection.disconnect()
                raise
        except (AuthenticationError, AuthorizationError, ResponseError) as exc:
            raise StoreError(f"Redis at {self._place} refuses the login: {exc}") from exc
        except (RedisError, OSError) as exc:
            raise StoreUnavailable(f"no answer from Redis at {self._place}: {exc}") from exc
        self._idle.append(connection)
        return _found(changes, replies)

    def close(self) -> None:
        """Closes idle connections; a later `run` opens new ones."""
        while self._idle:
            self._idle.pop().disconnect()

    @property
    def _place(self) -> str:
        path = self._options.get("path")
        host, port = self._options.get("host", "localhost"), self._options.get("port", 6379)
        return path or f"{host}:{port}"

    def _connection(self) -> redis.Connection:
        if self._pid != os.getpid():  # forked: those connections are the parent's
            self._idle = deque()
            self._pid = os.getpid()
        while True:
            try:
                idle = self._idle.pop()
            except IndexError:
                break
            if _is_quiet(idle):
                return idle
            idle.disconnect()
        connection: redis.Connection = self._connection_class(**self._options)
        connection.connect()
        return connection

    def _exchange(self, connection: redis.Connection, changes: Sequence[Change]) -> list[Reply]:
        replies = _ask(connection, [self._command(change) for change in changes])
        if self._has_set_nx_get and any(_is_syntax_error(reply) for reply in replies):
            self._has_set_nx_get = False
        # Commands that an older or restarted server did not know have changed nothing: again.
        again = [
            i for i, r in enumerate(replies) if isinstance(r, NoScriptError) or _is_syntax_error(r)
        ]
        if again:
            load = ("SCRIPT", "LOAD", CHANGE)
            _, *answers = _ask(connection, [load, *(self._command(changes[i]) for i in again)])
            for i, answer in zip(again, answers, strict=True):
                replies[i] = answer
        return replies

    def _command(self, change: Change) -> Command:
        key, expected, value, ttl, extends = change
        if not expected:
            return ("GET", key)
        if expected == (None,) and value is not None and self._has_set_nx_get:
            return ("SET", key, value, "NX", "GET", "EX", ttl)
        given: Command = (value or "", ttl, int(extends), *(e or "" for e in expected))
        return ("EVALSHA", CHANGE_SHA, 1, key, *given)


def _ask(connection: redis.Connection, commands: list[Command]) -> list[Reply]:
    """Sends all commands at once and reads their replies, errors among them as values."""
    packed = b"".join([hiredis.pack_command(command) for command in commands])  # type: ignore[arg-type]  # its stub wants one type for all
    connection.send_packed_command([packed], check_health=False)
    replies: list[Reply] = []
    for _ in commands:
        try:
            reply = connection.read_response(disable_decoding=True)
        except ResponseError as exc:
            replies.append(exc)
        else:
            replies.append(None if reply is None else reply.decode("utf-8", "replace"))
    return replies


def _is_quiet(connection: redis.Connection) -> bool:
    """Whether the server has neither closed the connection nor sent something unasked."""
    try:
        return not connection.can_read(0)
    except (RedisError, OSError):
        return False


def _is_syntax_error(reply: Reply) -> bool:
    return isinstance(reply, ResponseError) and str(reply).lower().startswith("syntax error")


def _found(changes: Sequence[Change], replies: list[Reply]) -> list[str | None]:
    errors = [reply for reply in replies if isinstance(reply, ResponseError)]
    if not errors:
        return replies  # type: ignore[return-value]  # no error is among them
    error = StoreError(f"Redis refused {len(errors)} of {len(replies)} commands: {errors[0]}")
    error.done = tuple(
        change
        for change, reply in zip(changes, replies, strict=True)
        if not isinstance(reply, ResponseError) and change.happened(reply)
    )
    raise error from errors[0]
