"""Locks in Redis (6.2 or newer) or Valkey, on connections of the store's own."""

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

from .redis_commands import SCRIPTS, command_of
from .redis_connection import RedisConnection
from .redis_url import pool_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import redis

    from faktory_unique.locks.transition import Transition

    from .redis_commands import Command
    from .redis_connection import Reply

# Seconds, where neither URL nor client says: together below two, within which a producer is to know
# that its Redis hangs, and far below a lease.
CONNECT_TIMEOUT = 0.5
ANSWER_TIMEOUT = 1.0

_PAGE = 1_000  # keys that a SCAN looks at: well under a millisecond of Redis' time

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
        self._idle: deque[RedisConnection] = deque()
        self._talking: set[RedisConnection] = set()
        self._pid = os.getpid()
        self._has_set_nx_get = True  # Redis ≥ 7.0; found out by asking

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._place}>"

    def run(self, transitions: Sequence[Transition]) -> list[str | None]:
        """Carries out each change; see `Store.run`."""
        if not transitions:
            return []
        return _found(transitions, self._talk(partial(self._exchange, transitions=transitions)))

    def read(self, keys: Sequence[str]) -> list[tuple[str, float] | None]:
        """The value of each lock, and the seconds that it has left; see `Store.read`."""
        commands = [command for key in keys for command in (("GET", key), ("PTTL", key))]
        replies = self._talk(partial(RedisConnection.ask, commands=commands))
        # What somebody else keeps under such a name is no lock.
        replies = [None if _is_of_another_type(reply) else reply for reply in replies]
        _refuse_errors(replies)
        return [
            # -1: it has no TTL, which none of ours is without.
            value and (value.decode("utf-8", "replace"), inf if left < 0 else left / 1_000)
            for value, left in zip(replies[::2], replies[1::2], strict=True)
        ]

    def scan(self, beginning: str) -> Iterator[Sequence[str]]:
        """The keys that begin so; see `Store.scan`."""
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", beginning) + "*"
        cursor = b"0"
        while True:
            command = ("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
            replies = self._talk(partial(RedisConnection.ask, commands=[command]))
            _refuse_errors(replies)
            cursor, keys = replies[0]
            yield [key.decode("utf-8", "replace") for key in keys]
            if cursor == b"0":
                return

    def close(self) -> None:
        """Closes idle connections; a later `run` opens new ones."""
        while self._idle:
            self._idle.pop().close()

    @property
    def _place(self) -> str:
        path = self._options.get("path")
        host, port = self._options.get("host", "localhost"), self._options.get("port", 6379)
        return path or f"{host}:{port}"

    def _line(self) -> RedisConnection:
        if self._pid != os.getpid():  # forked: those connections are the parent's
            self._idle, self._talking = deque(), set()
            self._pid = os.getpid()
        while True:
            try:
                idle = self._idle.pop()
            except IndexError:
                return RedisConnection(self._connection_class(**self._options))
            if idle.is_quiet():
                return idle
            idle.close()

    def _talk(self, exchange: Callable[[RedisConnection], list[Reply]]) -> list[Reply]:
        """An exchange on a connection of our own.

        Raises:
            StoreUnavailable: no answer in time.
            StoreError: the login was refused.
        """
        try:
            line = self._line()
            try:
                self._talking.add(line)
                line.is_alone = len(self._talking) == 1
                replies = exchange(line)
            except BaseException:  # a reply may be under way, which nobody else may read as theirs
                line.close()
                raise
            finally:
                self._talking.discard(line)
        except (AuthenticationError, AuthorizationError, ResponseError) as exc:
            raise StoreError(f"Redis at {self._place} refuses the login: {exc}") from exc
        except (RedisError, OSError) as exc:
            raise StoreUnavailable(f"no answer from Redis at {self._place}: {exc}") from exc
        self._idle.append(line)
        return replies

    def _exchange(self, line: RedisConnection, transitions: Sequence[Transition]) -> list[Reply]:
        replies = line.ask(self._commands(transitions))
        if _errors(replies):
            self._ask_again(line, transitions, replies)
        return replies

    def _ask_again(
        self, line: RedisConnection, transitions: Sequence[Transition], replies: list[Reply]
    ) -> None:
        """Sends what an older or restarted server did not know; nothing was changed by it."""
        if any(_is_syntax_error(reply) for reply in replies):
            self._has_set_nx_get = False
        again = [
            i for i, r in enumerate(replies) if isinstance(r, NoScriptError) or _is_syntax_error(r)
        ]
        if again:
            loads = [("SCRIPT", "LOAD", script.text) for script in SCRIPTS]
            commands = [*loads, *self._commands([transitions[i] for i in again])]
            answers = line.ask(commands)[len(loads) :]
            for i, answer in zip(again, answers, strict=True):
                replies[i] = answer

    def _commands(self, transitions: Iterable[Transition]) -> Iterator[Command]:
        nx_get = self._has_set_nx_get
        return (command_of(transition, nx_get=nx_get) for transition in transitions)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _is_of_another_type(reply: Reply) -> bool:
    return isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE")


def _is_syntax_error(reply: Reply) -> bool:
    return isinstance(reply, ResponseError) and str(reply).lower().startswith("syntax error")


def _found(transitions: Sequence[Transition], replies: list[Reply]) -> list[str | None]:
    """The values found.

    Raises:
        StoreError: some replies are errors; its `done` has the changes that were made all the same.
    """
    try:
        _refuse_errors(replies)
    except StoreError as exc:
        exc.done = tuple(
            transition
            for transition, reply in zip(transitions, replies, strict=True)
            if not isinstance(reply, ResponseError) and transition.applied(_text(reply))
        )
        raise
    return [_text(reply) for reply in replies]


def _refuse_errors(replies: list[Reply]) -> None:
    errors = _errors(replies)
    if errors:
        raise StoreError(
            f"Redis refused {len(errors)} of {len(replies)} commands: {errors[0]}"
        ) from errors[0]


def _errors(replies: list[Reply]) -> list[ResponseError]:
    return [reply for reply in replies if isinstance(reply, ResponseError)]
