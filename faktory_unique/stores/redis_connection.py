"""A connection to Redis: opened and logged in by redis-py, then spoken to with nothing in between.

redis-py takes longer for a command than a Redis on the same host does: its connections look after
much that one command after the other on a plain connection does not need.
"""

from __future__ import annotations

import select
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import hiredis
from redis.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    import redis

    from .redis_commands import Command

Reply: TypeAlias = Any  # bytes, a number, a list, None, or a ResponseError

_READ_AT_ONCE = 65_536

# Commands. Redis carries them out while the next are packed, and its replies to a thousand are far
# from filling what lies between: it never waits for us to read.
_SENT_AT_ONCE = 100

# Seconds for which an answer is looked for before its thread sleeps until it comes: a Redis on the
# same host has answered by then, if neither is busy. To fall asleep and be woken takes as long
# again, and as much of the processor as to look meanwhile.
_NEARBY = 40e-6

# Answers that are slept for once one was looked for in vain: Redis is farther away, or busy.
_SLEEPS_AFTER_A_VAIN_LOOK = 100


class RedisConnection:
    """An open connection, for one exchange at a time.

    Args:
        connection: of redis-py; opened here. Its time-outs hold for each send and each read.

    Attributes:
        is_alone: whether no other thread was amid an exchange of this store when this one began:
            where one is, to look for an answer would keep it from its own.

    Raises:
        redis.exceptions.RedisError: it cannot be opened, or the login is refused.
        OSError: likewise.
    """

    def __init__(self, connection: redis.Connection) -> None:
        connection.connect()
        self._connection = connection
        self._socket: socket.socket = connection._sock  # type: ignore[assignment]  # noqa: SLF001  # open, and there is no other way to it
        self._reader = hiredis.Reader(InvalidResponse, DefaultParser.parse_error)
        self._buffer = bytearray(_READ_AT_ONCE)
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._sleeps = 0
        self.is_alone = True

    def ask(self, commands: Iterable[Command]) -> list[Reply]:
        """Sends all commands, then reads their replies, errors among them as values.

        After an exception it is to be closed: a reply may be under way.

        Raises:
            redis.exceptions.ConnectionError: Redis has closed it, or is not ready to answer.
            OSError: it broke, or nothing came in time.
        """
        pack, left, sent = hiredis.pack_command, iter(commands), 0
        while packed := [pack(command) for command in islice(left, _SENT_AT_ONCE)]:  # type: ignore[arg-type]  # its stub wants one type for all
            self._socket.sendall(b"".join(packed))
            sent += len(packed)
        gets = self._reader.gets
        replies: list[Reply] = []
        while len(replies) < sent:
            reply = gets()
            while reply is False:
                self._read()
                reply = gets()
            if isinstance(reply, RedisConnectionError):
                raise reply
            replies.append(reply)
        return replies

    def _read(self) -> None:
        if self._sleeps:
            self._sleeps -= 1
        elif self.is_alone:
            self._look_for_it()
        length = self._socket.recv_into(self._buffer)
        if not length:
            raise RedisConnectionError("Redis has closed the connection")
        self._reader.feed(self._buffer, 0, length)  # type: ignore[arg-type]  # any buffer will do

    def _look_for_it(self) -> None:
        poll, until = self._readable.poll, perf_counter() + _NEARBY
        while not poll(0):
            if perf_counter() > until:
                self._sleeps = _SLEEPS_AFTER_A_VAIN_LOOK
                return

    def is_quiet(self) -> bool:
        """Whether Redis has neither closed the connection nor sent something unasked."""
        return not (self._reader.has_data() or self._readable.poll(0))

    def close(self) -> None:
        """Closes it."""
        self._connection.disconnect()
