"""`Stream`: bytes on a socket: writes a command, reads a RESP reply, each within a deadline."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import ssl
import time
from abc import ABC, abstractmethod

from faktory_unique._util import new_selector

_READ_SIZE = 65_536

# The bounds of a reply. Faktory's lines are far shorter. Its bulks are jobs, statistics, and the
# errors of one PUSHB; a job of this size would fill half of the memory of a small worker.
_MAX_LINE_BYTES = 65_536
MAX_BULK_BYTES = 64 * 1024 * 1024

_KINDS = ("+", "-", "$", ":")
_LENGTH = re.compile(r"[0-9]{1,12}", re.ASCII)


class Stream(ABC):
    """An open connection to a server, and the bytes that were read beyond the last reply.

    A deadline is a time of `time.monotonic`; None means no limit. Methods that take one raise
    OSError when it passes or the connection breaks, and ValueError when a reply is malformed. After
    either error, only `close` may be called.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    @abstractmethod
    def send(self, command: str, deadline: float | None) -> None:
        """Send a command, followed by a line end."""

    def read_reply(self, deadline: float | None) -> str:
        """Read one complete RESP reply: a line, or a bulk of the announced length.

        Returns:
            The reply without its last line end.

        Raises:
            OSError: the deadline passed, or the connection broke.
            ValueError: the reply is malformed, or larger than 64 KiB (a line) or 64 MiB (a bulk).
        """
        line = self._read_line(deadline)
        if not line.startswith(_KINDS):
            raise ValueError(f"{line[:80]!r} is not a RESP reply")
        if not line.startswith("$") or line == "$-1":
            return line
        if not _LENGTH.fullmatch(line[1:]):
            raise ValueError(f"{line[:80]!r} is not the length of a bulk reply")
        length = int(line[1:])
        if length > MAX_BULK_BYTES:
            raise ValueError(f"a bulk reply of {length} bytes is larger than {MAX_BULK_BYTES}")
        while len(self._buffer) < length + 2:
            self._read_more(deadline)
        bulk, end = self._buffer[:length], self._buffer[length : length + 2]
        if end != b"\r\n":
            raise ValueError(f"a bulk reply of {length} bytes does not end with a line end")
        del self._buffer[: length + 2]
        return f"{line}\r\n{bulk.decode()}"

    @abstractmethod
    def is_idle(self) -> bool:
        """Return whether the stream can be used for a command. If not, only `close` may be called.

        It cannot be used if the peer has closed it, or has sent bytes that no command asked for.
        """

    @abstractmethod
    def wait_readable(self, deadline: float | None) -> bool:
        """Wait until data arrives or the connection ends. Return False at the deadline.

        This raises no error.
        """

    @abstractmethod
    def end(self) -> None:
        """Send END, if that is possible without waiting, and close."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection, even if a forked child still holds a copy of it."""

    @abstractmethod
    def abort(self) -> None:
        """End the connection while another thread uses it. Its command fails; it calls `close`."""

    @abstractmethod
    def detach(self) -> None:
        """Close this process's copy only. Another process continues to use the connection."""

    def on_reply_delivered(self) -> None:  # noqa: B027  # only an in-memory server needs it
        """Do what had to wait until the caller has its reply and the connection is free."""

    @abstractmethod
    def _read_more(self, deadline: float | None) -> None:
        """Append the next bytes that arrive to the buffer."""

    def _read_line(self, deadline: float | None) -> str:
        """Remove the next line from the buffer and return it without its line end."""
        start, limit = 0, _MAX_LINE_BYTES + 2
        while (end := self._buffer.find(b"\r\n", start, limit)) < 0:
            if len(self._buffer) >= limit:
                raise ValueError(f"a line of a reply is longer than {_MAX_LINE_BYTES} bytes")
            start = max(0, len(self._buffer) - 1)
            self._read_more(deadline)
        line = self._buffer[:end].decode()
        del self._buffer[: end + 2]
        return line


class SocketStream(Stream):
    """A stream over a connected socket, with or without TLS.

    Args:
        connected: the socket.
    """

    def __init__(self, connected: socket.socket) -> None:
        super().__init__()
        self._socket = connected

    def send(self, command: str, deadline: float | None) -> None:
        """Send the whole command, in as many pieces as the socket takes."""
        self._socket.settimeout(seconds_left(deadline))
        self._socket.sendall(f"{command}\r\n".encode())

    def is_idle(self) -> bool:
        """Check the socket without waiting; see `Stream.is_idle`."""
        if self._buffer:  # bytes beyond the last reply
            return False
        if not self._poll(0):
            return True
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True  # a TLS message without data
        except OSError:
            return False
        return False

    def wait_readable(self, deadline: float | None) -> bool:
        """Wait for the socket. A TLS message counts as data, even if no reply follows."""
        if self._buffer:
            return True
        return self._poll(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _poll(self, seconds: float | None) -> bool:
        """Wait until the socket can be read or has been closed. Return False after `seconds`."""
        with new_selector() as selector:
            try:
                selector.register(self._socket, selectors.EVENT_READ)
            except ValueError:  # closed, for example by a signal handler
                return True
            return bool(selector.select(seconds))

    def end(self) -> None:
        """Send END, if the socket takes it at once, and close."""
        with contextlib.suppress(OSError):
            self._socket.settimeout(0)
            self._socket.sendall(b"END\r\n")
        self.close()

    def close(self) -> None:
        """Shut the connection down. This also ends it for other copies of the socket."""
        self.abort()
        self._socket.close()

    def abort(self) -> None:
        """Shut the connection down. A thread that waits for it is woken; the socket stays open."""
        with contextlib.suppress(OSError):
            if isinstance(self._socket, ssl.SSLSocket):
                # Not its own method: before the shutdown, other threads would send as plain text.
                super(ssl.SSLSocket, self._socket).shutdown(socket.SHUT_RDWR)
            else:
                self._socket.shutdown(socket.SHUT_RDWR)

    def detach(self) -> None:
        """Close this copy of the socket."""
        self._socket.close()

    def _read_more(self, deadline: float | None) -> None:
        self._socket.settimeout(seconds_left(deadline))
        chunk = self._socket.recv(_READ_SIZE)
        if not chunk:
            raise ConnectionResetError("the server closed the connection")
        self._buffer += chunk


def seconds_left(deadline: float | None) -> float | None:
    """Return the seconds until the deadline, as a socket's time-out; None for no limit.

    Raises:
        TimeoutError: the deadline has passed.
    """
    if deadline is None:
        return None
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds
