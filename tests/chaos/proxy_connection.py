"""Connection through a proxy, and an aimed fault that waits for a command on any connection."""

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
        commands: the client's latest `Command`s, which one chunk had.
    """

    def __init__(self, client):
        self.client = client
        self.server = None
        self.commands = []

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


class AimedFault:
    """A fault that hits the next chunk of bytes that is a certain command, or the reply to one.

    The chunk is held for a while, and then let through, or cut short.

    Args:
        towards: the chunk's direction, "server" or "client".
        command: the name of the command; empty for any command.
        passes: the share of the chunk that is let through; if less than 1, its connection ends.
        seconds: how long the chunk is held at most.
        until: the name of a command: once it went to the server for the same lock, the hold ends.
        outage: seconds from the hit for which no byte passes, on any connection.
        times: how many chunks are hit.
        on_held: called with the command when a hold ends, and with the seconds that it took.

    Attributes:
        hits: how many chunks were hit.
        spent: set when all chunks were hit.
        over: set while no chunk is held.
    """

    def __init__(
        self,
        towards,
        command="",
        *,
        passes=1.0,
        seconds=0.0,
        until="",
        outage=0.0,
        times=1,
        on_held=lambda _command, _seconds: None,
    ):
        self._towards = towards
        self._command = command
        self._times = times
        self.passes = passes
        self.seconds = seconds
        self.until = until
        self.outage = outage
        self.on_held = on_held
        self.hits = 0
        self._held = 0
        self.spent = threading.Event()
        self.over = threading.Event()
        self.over.set()

    def aims_at(self, connection, towards):
        """Return the command that this fault hits in the chunk that goes in this direction now."""
        if towards == self._towards:
            for command in connection.commands:  # none before the first: a greeting is no reply
                if self._command in {"", command.name}:
                    return command
        return None

    def count_hit(self):
        """Count a hit, and return whether it was the last one."""
        self.hits += 1
        self._held += 1
        self.over.clear()
        if self.hits < self._times:
            return False
        self.spent.set()
        return True

    def end_hold(self):
        """Note that a chunk that was hit is not held any more."""
        self._held -= 1
        if not self._held:
            self.over.set()

    def remainder(self, chunk):
        """Return the part of the chunk that is let through."""
        return chunk[: int(len(chunk) * self.passes)]
