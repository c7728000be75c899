"""What a proxy has in its hands: a client's connection, and a fault that waits for its bytes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading


class Link:
    """One client's connection, and ours to the server for it.

    Args:
        client: the stream to the client.

    Attributes:
        server: the stream to the server, once there is one.
        verb: the first word of the client's latest command.
    """

    def __init__(self, client):
        self.client = client
        self.server = None
        self.verb = ""

    def sent(self, chunk):
        """The client has sent these bytes."""
        self.verb = b"".join(chunk.split(maxsplit=1)[:1]).decode("latin-1")

    def close(self, *, reset=False):
        """Closes both ends; with `reset` by RST, else by FIN."""
        for writer in (self.client, self.server):
            if writer is not None and reset:
                raw = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):  # closed already
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif writer is not None:
                writer.close()


class Shot:
    """A fault that waits for one chunk of bytes: such a command, or the answer to such a one.

    Args:
        towards: where the chunk goes, "server" or "client".
        verb: what the command begins with; any, where empty.
        passes: the share of the chunk that is let through.
    """

    def __init__(self, towards, verb, passes):
        self._towards = towards
        self._verb = verb
        self._passes = passes
        self.hit = threading.Event()

    def is_for(self, link, towards):
        """Whether the chunk that goes there now is the one."""
        # The server's greeting answers no command, and a login changes nothing.
        counts = link.verb and not link.verb.startswith("HELLO")
        return counts and towards == self._towards and link.verb.startswith(self._verb)

    def let_through(self, chunk):
        """What passes of the chunk."""
        return chunk[: int(len(chunk) * self._passes)]
