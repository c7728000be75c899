"""TCP proxy between clients and one server, which delays, holds, cuts, truncates and refuses."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

from scripts.servers import HOST, free_port
from tests.chaos.holds import Holds
from tests.chaos.proxy_connection import AimedFault, ProxyConnection
from tests.chaos.wire import faktory_commands

_CHUNK_BYTES = 65_536
_TIMEOUT = 10

ARMED_SECONDS = 5.0
"""Seconds for which an aimed fault waits for its command."""


class Proxy:
    """Forwards bytes between clients and a server, in a thread of its own, with faults on demand.

    The server may be down at times: each client connection gets a new connection to the server.

    Args:
        server_port: the server's port on loopback.
        read_commands: returns the `Command`s in bytes that a client sent.

    Attributes:
        port: the port for clients on loopback.
    """

    def __init__(self, server_port, read_commands=faktory_commands):
        self.port = free_port()
        self._server_port = server_port
        self._read_commands = read_commands
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections = set()
        self._listener = None
        self._tasks = set()
        self._delay = (0.0, 0.0)  # seconds, and until when
        self._black_hole_until = 0.0
        self._aimed_faults = []
        self._holds = Holds()

    def __enter__(self):
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_exc):
        self._call(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_TIMEOUT)
        self._loop.close()

    def delay(self, by, seconds):
        """Delay every chunk in both directions by `by` seconds, for some seconds."""
        self._delay = (by, time.monotonic() + seconds)
        time.sleep(seconds)

    def cut(self, *, reset):
        """Close all connections, by RST or FIN, and return their number."""
        return self._call(self._cut(reset=reset))

    def cut_reply(self, command=""):
        """Drop the next reply (to this command, if any) and close its connection.

        Returns:
            Whether there was such a reply within `ARMED_SECONDS`.
        """
        return self._arm(AimedFault("client", command, passes=0))

    def truncate(self, towards, command=""):
        """Forward half of the next such command or reply, and close its connection.

        Returns:
            Whether there was one within `ARMED_SECONDS`.
        """
        return self._arm(AimedFault(towards, command, passes=0.5))

    def outage(self, command, seconds):
        """Drop the next such command, and forward nothing from then on for some seconds.

        Returns:
            Whether there was one within `ARMED_SECONDS`.
        """
        hit = self._arm(AimedFault("server", command, passes=0, outage=seconds))
        if hit:
            self._end_black_hole(seconds)
        return hit

    def hold(self, towards, command, seconds, *, until="", times=1, armed=None, on_held):
        """Hold the next such commands or replies, each for some seconds, then let them through.

        A command arrives late even if its client has closed the connection by then.

        Args:
            towards: "server" for the commands, "client" for the replies.
            command: the name of the command.
            seconds: how long each is held at most.
            until: ends a hold, once this command went to the server for the same lock.
            times: how many are held.
            armed: seconds in which they are waited for; `ARMED_SECONDS` by default.
            on_held: called with the command when a hold ends, and with the seconds that it took.

        Returns:
            Whether one was held.
        """
        fault = AimedFault(
            towards, command, seconds=seconds, until=until, times=times, on_held=on_held
        )
        hit = self._arm(fault, armed)
        fault.over.wait(seconds)
        return hit

    def refuse(self, seconds):
        """Refuse new connections for some seconds."""
        self._call(self._stop_listening())
        time.sleep(seconds)
        self._call(self._listen())

    def black_hole(self, seconds):
        """Accept connections and bytes but forward nothing for some seconds, then cut them."""
        self._black_hole_until = time.monotonic() + seconds
        self._end_black_hole(seconds)

    def end_faults(self):
        """End all faults in progress."""
        for fault in list(self._aimed_faults):
            fault.spent.set()
        self._aimed_faults.clear()
        self._call(self._holds.end_all())
        self._delay = (0.0, 0.0)
        self._black_hole_until = 0.0
        self._call(self._listen())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_TIMEOUT)

    def _arm(self, fault, seconds=None):
        """Wait until an aimed fault hits its chunks, and return whether it hit one."""
        self._aimed_faults.append(fault)
        fault.spent.wait(ARMED_SECONDS if seconds is None else seconds)
        with contextlib.suppress(ValueError):
            self._aimed_faults.remove(fault)
        return fault.hits > 0

    def _end_black_hole(self, seconds):
        time.sleep(seconds)
        self._call(self._cut(reset=False))

    async def _listen(self):
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._serve, HOST, self.port, reuse_address=True
            )

    async def _stop_listening(self):
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _shut_down(self):
        await self._stop_listening()
        await self._cut(reset=False)
        if self._tasks:  # the cut ends them, after a delay at the latest
            await asyncio.wait(self._tasks, timeout=_TIMEOUT / 2)

    async def _cut(self, *, reset):
        connections = list(self._connections)
        for connection in connections:
            connection.close(reset=reset)
        return len(connections)

    async def _serve(self, reader, writer):
        connection = ProxyConnection(writer)
        self._connections.add(connection)
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            if await self._wait_out_black_hole():
                return
            replies, connection.server = await asyncio.open_connection(HOST, self._server_port)
            if writer.is_closing():  # cut in the meantime
                return
            directions = [
                asyncio.ensure_future(
                    self._forward(connection, reader, connection.server, "server")
                ),
                asyncio.ensure_future(self._forward(connection, replies, writer, "client")),
            ]
            _, others = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for other in others:
                other.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
        except OSError:  # the server is down
            pass
        finally:
            self._connections.discard(connection)
            self._tasks.discard(task)
            connection.close()

    async def _forward(self, connection, reader, writer, towards):
        """Forward bytes in one direction until the connection ends, or a fault ends it."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                if towards == "server":
                    connection.commands = self._read_commands(chunk)
                if await self._wait_out_black_hole():
                    return
                by, until = self._delay
                if time.monotonic() < until:
                    await asyncio.sleep(by)
                if await self._aim(connection, chunk, writer, towards):
                    return
                writer.write(chunk)
                await writer.drain()
                if towards == "server":
                    self._holds.note_sent(connection.commands)

    async def _aim(self, connection, chunk, writer, towards):
        """Let an aimed fault hit the chunk, if there is one. Return whether its connection ends."""
        for fault in self._aimed_faults:
            command = fault.aims_at(connection, towards)
            if command is not None:
                break
        else:
            return False
        if fault.count_hit():
            with contextlib.suppress(ValueError):
                self._aimed_faults.remove(fault)
        if fault.outage:
            self._black_hole_until = time.monotonic() + fault.outage
        if fault.passes < 1:
            writer.write(fault.remainder(chunk))
            await writer.drain()
            return True
        await self._holds.wait(fault, command)
        return False

    async def _wait_out_black_hole(self):
        """Wait until the black hole ends, and return whether there was one."""
        left = self._black_hole_until - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
        return left > 0
