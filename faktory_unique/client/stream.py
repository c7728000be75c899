"""One connected way to Faktory: commands out, whole replies in, each within a deadline."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import time
from abc import ABC, abstractmethod

_READ_SIZE = 65_536

_KINDS = ("+", "-", "$", ":")
_LENGTH = re.compile(r"[0-9]{1,12}", re.ASCII)


class Stream(ABC):
    """A connected way to a server, and what has been read from it beyond the last reply.

    Every method that takes a deadline (of `time.monotonic`; None for no bound) raises OSError when
    it passes or the way breaks, and ValueError when what came is no reply. After either the stream is
    good for nothing but `close`.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    @abstractmethod
    def send(self, command: str, deadline: float | None) -> None:
        """Sends a command and its line end."""

    def read_reply(self, deadline: float | None) -> str:
        """One whole RESP reply, less its last line end: a line, or a bulk as long as announced."""
        line = self._read_line(deadline)
        if not line.startswith(_KINDS):
            raise ValueError(f"{line[:80]!r} is no reply")
        if not line.startswith("$") or line == "$-1":
            return line
        if not _LENGTH.fullmatch(line[1:]):
            raise ValueError(f"{line[:80]!r} tells no length")
        length = int(line[1:])
        while len(self._buffer) < length + 2:
            self._read_more(deadline)
        bulk, end = self._buffer[:length], self._buffer[length : length + 2]
        if end != b"\r\n":
            raise ValueError(f"a bulk of {length} bytes does not end there")
        del self._buffer[: length + 2]
        return f"{line}\r\n{bulk.decode()}"

    @abstractmethod
    def is_idle(self) -> bool:
        """Whether the peer has neither closed nor said anything unasked, such as that it ends."""

    @abstractmethod
    def readable(self, deadline: float | None) -> bool:
        """Whether something has come, or the connection has ended, by the deadline."""

    @abstractmethod
    def end(self) -> None:
        """Says END, if that goes without waiting, and closes."""

    @abstractmethod
    def close(self) -> None:
        """Ends the connection, also where a forked child still holds a copy of it."""

    @abstractmethod
    def detach(self) -> None:
        """Closes this process's copy; the connection goes on in another process."""

    def answered(self) -> None:  # noqa: B027  # of use to a server of this process alone
        """Called when a reply is with its caller, and others may use the connection again."""

    @abstractmethod
    def _read_more(self, deadline: float | None) -> None:
        """Adds what comes next to the buffer."""

    def _read_line(self, deadline: float | None) -> str:
        start = 0
        while (end := self._buffer.find(b"\r\n", start)) < 0:
            start = max(0, len(self._buffer) - 1)
            self._read_more(deadline)
        line = self._buffer[:end].decode()
        del self._buffer[: end + 2]
        return line


class SocketStream(Stream):
    """A connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__()
        self._socket = connected

    def send(self, command: str, deadline: float | None) -> None:
        """Sends all of it, in as many pieces as the socket takes."""
        self._socket.settimeout(left(deadline))
        self._socket.sendall(f"{command}\r\n".encode())

    def is_idle(self) -> bool:
        """Asks the socket, without waiting; what was read beyond the last reply is unasked, too."""
        if self._buffer:
            return False
        if not self._poll(0):
            return True
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True  # TLS housekeeping, no data
        except OSError:
            return False
        return False

    def readable(self, deadline: float | None) -> bool:
        """Waits for the socket, on which TLS housekeeping is news, too, with no reply behind it."""
        if self._buffer:
            return True
        return self._poll(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _poll(self, seconds: float | None) -> bool:
        """Whether there is something to be read, or the socket has been closed, by then."""
        poll = select.poll()  # select() bears no descriptor above 1023
        try:
            poll.register(self._socket, select.POLLIN)
        except ValueError:  # closed, by a signal handler say
            return True
        return bool(poll.poll(None if seconds is None else 1_000 * seconds))

    def end(self) -> None:
        """Says END, if the socket takes it at once, and closes."""
        with contextlib.suppress(OSError):
            self._socket.settimeout(0)
            self._socket.sendall(b"END\r\n")
        self.close()

    def close(self) -> None:
        """Shuts the connection down, for whoever holds a copy of the socket too."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def detach(self) -> None:
        """Closes this copy of the socket."""
        self._socket.close()

    def _read_more(self, deadline: float | None) -> None:
        self._socket.settimeout(left(deadline))
        chunk = self._socket.recv(_READ_SIZE)
        if not chunk:
            raise ConnectionResetError("the server closed the connection")
        self._buffer += chunk


def left(deadline: float | None) -> float | None:
    """Seconds until the deadline, for a socket.

    Raises:
        TimeoutError: it has passed.
    """
    if deadline is None:
        return None
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds
