"""`RedisConnection`: one connection, opened by redis-py, then read and written with hiredis.

redis-py spends more time on a command than a Redis on the same host does. Its connections support
features that are not needed to send one command after the other. `ClientConnection` is for classes
of connections that are not redis-py's own: it goes through their methods.
"""

from __future__ import annotations

import selectors
from itertools import islice
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from faktory_unique._util import new_selector

from .redis_errors import ErrorReply

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    import redis

    from .redis_commands import Command

Reply: TypeAlias = Any  # bytes, a number, a list, None, or an ErrorReply

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

# Seconds by which a time-out may be wrong. To set a time-out costs a call of the kernel.
_TIMEOUT_TOLERANCE = 0.02


class Connection(Protocol):
    """An open connection to a Redis, used for one exchange at a time.

    Attributes:
        idle_since: when its last exchange ended, a time of `time.monotonic`.
    """

    idle_since: float

    def exchange(
        self, commands: Iterable[Command], deadline: float, *, busy_poll: bool
    ) -> list[Reply]:
        """Send all commands, then read their replies. Close the connection after any exception.

        After an exception a reply can still arrive, and would be read as the next command's.

        Args:
            commands: the commands, in order.
            deadline: when the last reply must be there, a time of `time.monotonic`.
            busy_poll: whether to poll for a reply for 40 µs before blocking. This saves time only
                if no other thread needs the processor.

        Returns:
            One reply for each command, in order. An error reply is a value, and is not raised.

        Raises:
            redis.exceptions.ConnectionError: Redis closed the connection.
            OSError: the connection broke, or the replies were not there in time.
        """
        ...

    def is_idle(self) -> bool:
        """Return whether the connection is open and no bytes wait to be read."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class DeadlineSocket:
    """A socket with one deadline for all that is sent and received, login included.

    A time-out of a socket is for each read, so a server that sends a byte at a time never ends it.

    Args:
        wrapped: the socket.
        deadline: a time of `time.monotonic`.

    Attributes:
        deadline: a time of `time.monotonic`; after it, each method raises TimeoutError.
    """

    def __init__(self, wrapped: socket.socket, deadline: float) -> None:
        self._wrapped = wrapped
        self._timeout = 0.0
        self.deadline = deadline

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # any attribute of a socket
        return getattr(self._wrapped, name)

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: the deadline decides."""

    def sendall(self, data: bytes) -> None:
        """Send all bytes."""
        self._set_timeout()
        self._wrapped.sendall(data)

    def recv_into(self, buffer: bytearray) -> int:
        """Write the bytes that arrive next to a buffer. Return their number."""
        self._set_timeout()
        return self._wrapped.recv_into(buffer)

    def _set_timeout(self) -> None:
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if abs(left - self._timeout) > _TIMEOUT_TOLERANCE:
            self._wrapped.settimeout(left)
            self._timeout = left


class RedisConnection:
    """A `Connection` over a connection of redis-py's own classes.

    Args:
        connection: a connection of redis-py, opened here.
        deadline: when it must be open and logged in, a time of `time.monotonic`.

    Raises:
        redis.exceptions.RedisError: the connection cannot be opened, or Redis refused the login.
        OSError: the connection cannot be opened.
    """

    def __init__(self, connection: redis.Connection, deadline: float) -> None:
        open_socket: Callable[[], socket.socket] = connection._connect  # noqa: SLF001  # there is no other way to the socket
        connection._connect = lambda: DeadlineSocket(open_socket(), deadline)  # type: ignore[method-assign]  # noqa: SLF001
        connection.connect()
        self._connection = connection
        self._socket: DeadlineSocket = connection._sock  # type: ignore[assignment]  # noqa: SLF001
        self._reader = hiredis.Reader(InvalidResponse, ErrorReply)
        self._buffer = bytearray(_READ_BUFFER_BYTES)
        self._readable = new_selector()
        self._readable.register(self._socket, selectors.EVENT_READ)
        self._blocking_reads_left = 0
        self.idle_since = monotonic()

    def exchange(
        self, commands: Iterable[Command], deadline: float, *, busy_poll: bool
    ) -> list[Reply]:
        """Send all commands, then read their replies; see `Connection.exchange`."""
        self._socket.deadline = deadline
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


class ClientConnection:
    """A `Connection` over a class that is not redis-py's own, through its methods. It is slower.

    The time-outs are those of the class: the deadline is checked between two replies.

    Args:
        connection: a connection with the interface of redis-py's, opened here.

    Raises:
        redis.exceptions.RedisError: the connection cannot be opened, or Redis refused the login.
        OSError: the connection cannot be opened.
    """

    def __init__(self, connection: redis.Connection) -> None:
        connection.connect()
        self._connection = connection
        self.idle_since = monotonic()

    def exchange(
        self, commands: Iterable[Command], deadline: float, *, busy_poll: bool
    ) -> list[Reply]:
        """Send all commands, then read their replies; see `Connection.exchange`."""
        del busy_poll  # its socket, if it has one, is its own
        sent = 0
        for command in commands:
            self._connection.send_command(*command)
            sent += 1
        replies: list[Reply] = []
        while len(replies) < sent:
            if monotonic() > deadline:
                raise TimeoutError("timed out")
            try:
                replies.append(self._connection.read_response(disable_decoding=True))
            except ResponseError as exc:
                replies.append(ErrorReply.of(exc))
        return replies

    def is_idle(self) -> bool:
        """Return whether the connection is open and no bytes wait to be read."""
        try:
            return not self._connection.can_read(0)
        except (RedisError, OSError):
            return False

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()
