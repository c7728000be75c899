"""`RedisConnection`: one connection, opened by redis-py, then read and written with hiredis.

redis-py spends more time on a command than a Redis on the same host does. Its connections support
features that are not needed to send one command after the other.
"""

from __future__ import annotations

import selectors
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import hiredis
from redis.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

from faktory_unique._util import new_selector

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    import redis

    from .redis_commands import Command

Reply: TypeAlias = Any  # bytes, a number, a list, None, or a ResponseError

_READ_BUFFER_BYTES = 65_536

# Commands in one send. Redis executes them while the next commands are packed. The replies to a
# thousand commands are much smaller than the socket's buffers, so Redis never waits for a read.
_COMMANDS_PER_SEND = 100

# Seconds for which a thread polls for a reply before it blocks in the kernel. A Redis on the same
# host has replied by then, if neither side is busy. To block and be woken takes just as long, and
# as much processor time as polling does.
_BUSY_POLL_SECONDS = 40e-6

# Number of reads that block at once after a poll without a reply: Redis is remote, or busy.
_BLOCKING_READS_AFTER_BUSY_POLL = 100


class RedisConnection:
    """An open connection, used for one exchange at a time.

    Args:
        connection: a connection of redis-py, opened here. Its time-outs hold for each send and
            each read.

    Raises:
        redis.exceptions.RedisError: the connection cannot be opened, or Redis refused the login.
        OSError: the connection cannot be opened.
    """

    def __init__(self, connection: redis.Connection) -> None:
        connection.connect()
        self._connection = connection
        self._socket: socket.socket = connection._sock  # type: ignore[assignment]  # noqa: SLF001  # open, and there is no other way to it
        self._reader = hiredis.Reader(InvalidResponse, DefaultParser.parse_error)
        self._buffer = bytearray(_READ_BUFFER_BYTES)
        self._readable = new_selector()
        self._readable.register(self._socket, selectors.EVENT_READ)
        self._blocking_reads_left = 0

    def exchange(self, commands: Iterable[Command], *, busy_poll: bool) -> list[Reply]:
        """Send all commands, then read their replies. Close the connection after any exception.

        After an exception a reply can still arrive, and would be read as the next command's.

        Args:
            commands: the commands, in order.
            busy_poll: whether to poll for a reply for 40 µs before blocking. This saves time only
                if no other thread needs the processor.

        Returns:
            One reply for each command, in order. An error reply is a value, and is not raised.

        Raises:
            redis.exceptions.ConnectionError: Redis closed the connection, or is still loading.
            OSError: the connection broke, or no reply came in time.
        """
        pack, left, sent = hiredis.pack_command, iter(commands), 0
        while packed := [pack(command) for command in islice(left, _COMMANDS_PER_SEND)]:  # type: ignore[arg-type]  # its stub wants one type for all
            self._socket.sendall(b"".join(packed))
            sent += len(packed)
        gets = self._reader.gets
        replies: list[Reply] = []
        while len(replies) < sent:
            reply = gets()
            while reply is False:
                self._read(busy_poll=busy_poll)
                reply = gets()
            if isinstance(reply, RedisConnectionError):
                raise reply
            replies.append(reply)
        return replies

    def _read(self, *, busy_poll: bool) -> None:
        """Feed the parser with the bytes that arrive next."""
        if self._blocking_reads_left:
            self._blocking_reads_left -= 1
        elif busy_poll:
            self._busy_poll()
        length = self._socket.recv_into(self._buffer)
        if not length:
            raise RedisConnectionError("Redis closed the connection")
        self._reader.feed(self._buffer, 0, length)  # type: ignore[arg-type]  # any buffer will do

    def _busy_poll(self) -> None:
        """Poll until the socket is readable, for 40 µs at most."""
        poll, deadline = self._readable.select, perf_counter() + _BUSY_POLL_SECONDS
        while not poll(0):
            if perf_counter() > deadline:
                self._blocking_reads_left = _BLOCKING_READS_AFTER_BUSY_POLL
                return

    def is_idle(self) -> bool:
        """Return whether the connection is open and no bytes wait to be read."""
        return not (self._reader.has_data() or self._readable.select(0))

    def close(self) -> None:
        """Close the connection."""
        self._readable.close()
        self._connection.disconnect()
