"""TCP proxy between clients and one server, which delays, cuts, truncates and refuses."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

from scripts.servers import HOST, free_port
from tests.chaos.proxy_connection import OneShotFault, ProxyConnection

_CHUNK_BYTES = 65_536
_TIMEOUT = 10

ARMED_SECONDS = 5.0
"""Seconds for which a one-shot fault waits for a chunk."""


class Proxy:
    """Forwards bytes between clients and a server, in a thread of its own, with faults on demand.

    The server may be down at times: each client connection gets a new connection to the server.

    Args:
        server_port: the server's port on loopback.

    Attributes:
        port: the port for clients on loopback.
    """

    def __init__(self, server_port):
        self.port = free_port()
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections = set()
        self._listener = None
        self._tasks = set()
        self._delay = (0.0, 0.0)  # seconds, and until when
        self._black_hole_until = 0.0
        self._one_shot_faults = []

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

    def cut_reply(self, verb=""):
        """Drop the next reply (to this verb, if any) and close its connection.

        Returns:
            Whether there was such a reply within `ARMED_SECONDS`.
        """
        return self._arm(OneShotFault("client", verb, 0))

    def truncate(self, towards, verb=""):
        """Forward half of the next such command or reply, and close its connection.

        Returns:
            Whether there was one within `ARMED_SECONDS`.
        """
        return self._arm(OneShotFault(towards, verb, 0.5))

    def refuse(self, seconds):
        """Refuse new connections for some seconds."""
        self._call(self._stop_listening())
        time.sleep(seconds)
        self._call(self._listen())

    def black_hole(self, seconds):
        """Accept connections and bytes but forward nothing for some seconds, then cut them."""
        self._black_hole_until = time.monotonic() + seconds
        time.sleep(seconds)
        self._call(self._cut(reset=False))

    def end_faults(self):
        """End all faults in progress."""
        self._one_shot_faults.clear()
        self._delay = (0.0, 0.0)
        self._black_hole_until = 0.0
        self._call(self._listen())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_TIMEOUT)

    def _arm(self, fault):
        """Wait until a one-shot fault hits a chunk, and return whether it did."""
        self._one_shot_faults.append(fault)
        hit = fault.hit.wait(ARMED_SECONDS)
        with contextlib.suppress(ValueError):
            self._one_shot_faults.remove(fault)
        return hit

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
                    connection.note_command(chunk)
                if await self._wait_out_black_hole():
                    return
                by, until = self._delay
                if time.monotonic() < until:
                    await asyncio.sleep(by)
                fault = self._take_fault(connection, towards)
                if fault is not None:
                    writer.write(fault.remainder(chunk))
                    await writer.drain()
                    fault.hit.set()
                    return
                writer.write(chunk)
                await writer.drain()

    def _take_fault(self, connection, towards):
        for fault in self._one_shot_faults:
            if fault.matches(connection, towards):
                self._one_shot_faults.remove(fault)
                return fault
        return None

    async def _wait_out_black_hole(self):
        """Wait until the black hole ends, and return whether there was one."""
        left = self._black_hole_until - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
        return left > 0
