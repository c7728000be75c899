"""`RedisPool`: the connections of one store, bounded in number; who waits, and which are closed."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias

from redis.exceptions import ConnectionError as RedisConnectionError

from .redis_errors import error_replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from .redis_connection import Connection, Reply

Exchange: TypeAlias = "Callable[[Connection, float], list[Reply]]"
"""Sends commands on a connection and returns their replies, before a deadline."""

# Idle connections that are kept for ever. Any others are closed when they have been idle for a
# while: at the next call, since a pool has no thread of its own.
KEPT_IDLE = 4
IDLE_SECONDS = 30.0

# Seconds after which a caller that waits for a connection looks again, even if it was not woken.
_RECHECK_SECONDS = 0.02

# What redis-py says if the server has no room for another connection (`maxclients`). Often the
# server has closed the connection before its reply can be read.
_SERVER_IS_FULL = ("max number of clients", "closed by server", "reset by peer", "broken pipe")


class RedisPool:
    """Hands out connections, each for one exchange.

    Nothing here waits for a mutex: a signal handler may push while its own thread is in this code.

    Args:
        open_connection: opens a connection before a deadline, a time of `time.monotonic`.
        limit: how many connections may be in use at a time.
        longest_idle: seconds after which an idle connection is not used again.
    """

    def __init__(
        self, open_connection: Callable[[float], Connection], limit: int, longest_idle: float
    ) -> None:
        self._open_connection = open_connection
        self._limit = limit
        self._longest_idle = longest_idle
        self._reset()

    def _reset(self) -> None:
        self._idle: deque[Connection] = deque()  # the one that was used last is at the right
        self._busy: set[object] = set()
        self._waiting: set[object] = set()
        self._freed: SimpleQueue[None] = SimpleQueue()  # wakes those that wait
        self._pid = os.getpid()

    @property
    def busy(self) -> int:
        """The number of connections in use."""
        return len(self._busy)

    def use(self, exchange: Exchange, deadline: float) -> list[Reply]:
        """Run an exchange on a connection that nobody else uses at the same time.

        If a reply says that this is the wrong server by now, or that the login does not count any
        more, this connection and all idle ones are closed. The next exchange then gets a fresh one.

        Raises:
            TimeoutError: no connection was free before the deadline, or no reply came.
            redis.exceptions.RedisError: no connection could be opened, or it broke.
            OSError: likewise.
        """
        if self._pid != os.getpid():
            self._reset()  # in a forked child: the connections are its parent's
        slot = object()
        try:
            self._wait_for_slot(slot, deadline)
            connection = self._checkout(deadline)
            try:
                replies = exchange(connection, deadline)
            except BaseException:  # a reply can still arrive, which no other command may read
                connection.close()
                raise
            errors = error_replies(replies)
            if errors and any(reply.rule.reconnects for reply in errors):
                connection.close()
                self.close_idle()
            else:
                self._put_back(connection)
            return replies
        finally:
            self._busy.discard(slot)
            if self._waiting:
                self._freed.put(None)

    def close_idle(self) -> None:
        """Close all idle connections."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _wait_for_slot(self, slot: object, deadline: float) -> None:
        """Add the slot to those in use, as soon as there is room."""
        try:
            while True:
                self._busy.add(slot)  # first: two callers never find the same room
                if len(self._busy) <= self._limit:
                    return
                self._busy.discard(slot)
                self._waiting.add(slot)
                self._wait(deadline, f"all {self._limit} connections are in use (max_connections)")
        finally:
            self._waiting.discard(slot)

    def _wait(self, deadline: float, reason: str) -> None:
        """Wait until another exchange ends, but not for long.

        Raises:
            TimeoutError: the deadline has passed.
        """
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError(f"timed out: {reason}")
        with suppress(Empty):
            self._freed.get(timeout=min(left, _RECHECK_SECONDS))

    def _checkout(self, deadline: float) -> Connection:
        """Return an idle connection, or open one.

        If the server has no room for it, wait for another connection of this pool.
        """
        while True:
            while (connection := self._pop_idle()) is not None:
                is_fresh = monotonic() - connection.idle_since <= self._longest_idle
                if is_fresh and connection.is_idle():
                    return connection
                connection.close()
            try:
                return self._open_connection(deadline)
            except RedisConnectionError as exc:
                text = str(exc).lower()
                if len(self._busy) == 1 or not any(sign in text for sign in _SERVER_IS_FULL):
                    raise
                self._wait(deadline, str(exc))

    def _pop_idle(self) -> Connection | None:
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def _put_back(self, connection: Connection) -> None:
        """Keep a connection for the next exchange. Close those that were idle for too long."""
        now = connection.idle_since = monotonic()
        self._idle.append(connection)
        with suppress(IndexError):  # another thread can take the last one meanwhile
            while len(self._idle) > KEPT_IDLE and self._idle[0].idle_since < now - IDLE_SECONDS:
                self._idle.popleft().close()
