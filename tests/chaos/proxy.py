"""A TCP proxy with faults, between clients and one server of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

from scripts.servers import HOST, free_port
from tests.chaos.links import Link, Shot

_CHUNK = 65_536
_PATIENCE = 10

# How long a fault waits for bytes that it can hit.
ARMED = 5.0


class Proxy:
    """Carries bytes between clients and a server, in a thread of its own, with faults as told.

    The server may come and go: each connection of a client's gets one of its own to it.

    Args:
        server_port: of the server, on loopback.

    Attributes:
        port: for clients, on loopback.
    """

    def __init__(self, server_port):
        self.port = free_port()
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links = set()
        self._listening = None
        self._tasks = set()
        self._delay = (0.0, 0.0)  # by so many seconds, until then
        self._hole_until = 0.0
        self._shots = []

    def __enter__(self):
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_exc):
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def delay(self, by, seconds):
        """For some seconds, every chunk of bytes comes later, both ways."""
        self._delay = (by, time.monotonic() + seconds)
        time.sleep(seconds)

    def cut(self, *, reset):
        """Closes all present connections, by RST or FIN; how many there were."""
        return self._do(self._cut(reset=reset))

    def cut_reply(self, verb=""):
        """Swallows the next answer (to this verb, if any), and closes its connection."""
        return self._shoot(Shot("client", verb, 0))

    def truncate(self, towards, verb=""):
        """Lets only a part of the next chunk through, of such a command or answer; then closes."""
        return self._shoot(Shot(towards, verb, 0.5))

    def refuse(self, seconds):
        """Takes no new connections for some seconds."""
        self._do(self._deafen())
        time.sleep(seconds)
        self._do(self._listen())

    def black_hole(self, seconds):
        """Takes connections and bytes, and carries nothing for some seconds; then cuts them."""
        self._hole_until = time.monotonic() + seconds
        time.sleep(seconds)
        self._do(self._cut(reset=False))

    def clean(self):
        """Ends all faults that are left."""
        self._shots.clear()
        self._delay = (0.0, 0.0)
        self._hole_until = 0.0
        self._do(self._listen())

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE)

    def _shoot(self, shot):
        """Waits for its chunk, not for ever; whether it came."""
        self._shots.append(shot)
        hit = shot.hit.wait(ARMED)
        with contextlib.suppress(ValueError):
            self._shots.remove(shot)
        return hit

    async def _listen(self):
        if self._listening is None:
            self._listening = await asyncio.start_server(
                self._serve, HOST, self.port, reuse_address=True
            )

    async def _deafen(self):
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    async def _end(self):
        await self._deafen()
        await self._cut(reset=False)
        if self._tasks:  # which end by that, after a delay at the latest
            await asyncio.wait(self._tasks, timeout=_PATIENCE / 2)

    async def _cut(self, *, reset):
        cut = list(self._links)
        for link in cut:
            link.close(reset=reset)
        return len(cut)

    async def _serve(self, reader, writer):
        link = Link(writer)
        self._links.add(link)
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            if await self._was_in_hole():
                return
            answers, link.server = await asyncio.open_connection(HOST, self._server_port)
            if writer.is_closing():  # cut meanwhile
                return
            ways = [
                asyncio.ensure_future(self._carry(link, reader, link.server, "server")),
                asyncio.ensure_future(self._carry(link, answers, writer, "client")),
            ]
            _, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for other in others:
                other.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:  # the server is away
            pass
        finally:
            self._links.discard(link)
            self._tasks.discard(task)
            link.close()

    async def _carry(self, link, reader, writer, towards):
        """Carries bytes one way until an end, or a fault."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if towards == "server":
                    link.sent(chunk)
                if await self._was_in_hole():
                    return
                by, until = self._delay
                if time.monotonic() < until:
                    await asyncio.sleep(by)
                shot = self._shot_for(link, towards)
                if shot is not None:
                    writer.write(shot.let_through(chunk))
                    await writer.drain()
                    shot.hit.set()
                    return
                writer.write(chunk)
                await writer.drain()

    def _shot_for(self, link, towards):
        for shot in self._shots:
            if shot.is_for(link, towards):
                self._shots.remove(shot)
                return shot
        return None

    async def _was_in_hole(self):
        """Whether bytes came while nothing is carried; if so, waits for the end of that."""
        left = self._hole_until - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
        return left > 0
