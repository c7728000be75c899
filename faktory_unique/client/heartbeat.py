"""What tells the server, now and again, that a worker lives."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from faktory_unique.errors import FaktoryError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("faktory_unique")


class Heartbeat:
    """A thread that beats until it is stopped, whatever comes of a beat.

    Args:
        beat: BEAT; may raise FaktoryError or ValueError, which are logged.
        period: seconds from one to the next.
        server: what to call the server in the log.
    """

    def __init__(self, beat: Callable[[], object], period: float, server: str) -> None:
        self._beat = beat
        self._period = period
        self._server = server
        self._stopped = threading.Event()

    def start(self) -> None:
        """Beats from now on."""
        threading.Thread(target=self._run, name="faktory-heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Beats no more; one that is under way may still arrive."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._beat()
            except (FaktoryError, ValueError) as exc:
                if not self._stopped.is_set():
                    log.warning("heartbeat to Faktory at %s failed: %s", self._server, exc)
            self._stopped.wait(self._period)
