"""`Heartbeat`: a thread that sends BEAT, so that the server keeps a worker registered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from faktory_unique._util import log
from faktory_unique.errors import FaktoryError

if TYPE_CHECKING:
    from collections.abc import Callable


class Heartbeat:
    """A thread that sends heartbeats until it is stopped. A failed heartbeat is logged.

    Args:
        beat: sends BEAT. It may raise FaktoryError or ValueError.
        period: seconds between heartbeats.
        server: the server's name in log lines.
    """

    def __init__(self, beat: Callable[[], object], period: float, server: str) -> None:
        self._beat = beat
        self._period = period
        self._server = server
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the thread. It sends the first heartbeat at once."""
        threading.Thread(target=self._run, name="faktory-heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Send no more heartbeats. One that is already being sent may still arrive."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._beat()
            except (FaktoryError, ValueError) as exc:
                if not self._stopped.is_set():
                    log.warning('heartbeat failed: server=%s error="%s"', self._server, exc)
            self._stopped.wait(self._period)
