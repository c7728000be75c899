"""Connection through a proxy, and a one-shot fault that waits for bytes on any connection."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading


class ProxyConnection:
    """A client's connection to the proxy, and the proxy's connection to the server.

    Args:
        client: the stream to the client.

    Attributes:
        server: the stream to the server; None before it is open.
        verb: the first word of the client's latest command.
    """

    def __init__(self, client):
        self.client = client
        self.server = None
        self.verb = ""

    def note_command(self, chunk):
        """Remember the verb of the bytes that the client sent."""
        self.verb = b"".join(chunk.split(maxsplit=1)[:1]).decode("latin-1")

    def close(self, *, reset=False):
        """Close both sides, with `reset` by RST, else by FIN."""
        for writer in (self.client, self.server):
            if writer is not None and reset:
                raw = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):  # already closed
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif writer is not None:
                writer.close()


class OneShotFault:
    """A fault that cuts one chunk of bytes short: a command, or the reply to one.

    Args:
        towards: the chunk's direction, "server" or "client".
        verb: the start of the command; empty for any command.
        passes: the share of the chunk that is let through.

    Attributes:
        hit: set when the fault has hit a chunk.
    """

    def __init__(self, towards, verb, passes):
        self._towards = towards
        self._verb = verb
        self._passes = passes
        self.hit = threading.Event()

    def matches(self, connection, towards):
        """Return whether this fault hits the chunk that goes in this direction now."""
        # The server's greeting is no reply to a command, and a login changes nothing.
        counts = connection.verb and not connection.verb.startswith("HELLO")
        return counts and towards == self._towards and connection.verb.startswith(self._verb)

    def remainder(self, chunk):
        """Return the part of the chunk that is let through."""
        return chunk[: int(len(chunk) * self._passes)]
