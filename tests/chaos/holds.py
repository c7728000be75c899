"""Chunks of bytes that a proxy holds: each until a time, or until a command for the same lock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict

from tests.chaos.wire import Command

# Seconds from sending the command that ends a hold until the held chunk follows it: the server
# reads connections in any order.
_OVERTAKE_SECONDS = 0.02


class Holds:
    """The holds of one proxy. Use it in the proxy's event loop."""

    def __init__(self):
        self._ends = defaultdict(set)  # by the `Command` that ends them

    async def wait(self, fault, command):
        """Wait until the hold of a chunk ends.

        Args:
            fault: the `AimedFault` that hit the chunk.
            command: the command that was aimed at.
        """
        since, end = time.monotonic(), asyncio.Event()
        ends = self._ends[Command(fault.until, command.subject)]
        ends.add(end)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), fault.seconds)
                await asyncio.sleep(_OVERTAKE_SECONDS)
        finally:
            ends.discard(end)
            fault.end_hold()
        fault.on_held(command, time.monotonic() - since)

    def note_sent(self, commands):
        """End the holds that wait for these commands, which went to the server."""
        for command in commands:
            for end in self._ends.pop(command, ()):
                end.set()

    async def end_all(self):
        """End all holds."""
        self.note_sent(list(self._ends))
