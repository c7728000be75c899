"""`Fetcher`: the loop that fetches jobs for one run of a consumer; its pauses after errors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from faktory_unique._pyfaktory import State
from faktory_unique._util import log
from faktory_unique.errors import AuthenticationFailed, CommandRefused, FaktoryError

from .consumer_run import TICK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.client.client import Client

    from .consumer_run import ConsumerRun

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0

# Terminated by the server, or disconnected by a call of `client.disconnect`.
_FINAL_STATES = {State.TERMINATING, State.DISCONNECTED}


class Fetcher:
    """Fetches jobs while its run has a free slot, until the run is to end.

    Args:
        client: the client that sends FETCH.
        run: processes the jobs.
        queues: returns the names of the queues, in the order of the next FETCH.
        is_stopped: returns whether the consumer was stopped by a signal or a call.
    """

    def __init__(
        self,
        client: Client,
        run: ConsumerRun,
        queues: Callable[[], list[str]],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._client = client
        self._run = run
        self._queues = queues
        self._is_stopped = is_stopped

    def is_over(self) -> bool:
        """Return whether no more jobs are to be fetched: the run is stopped or shuts down."""
        return self._run.shuts_down or self._is_stopped() or self._client.state in _FINAL_STATES

    def fetch_jobs(self) -> None:
        """Fetch jobs until the run is over. After an error, try again after a growing pause.

        Raises:
            AuthenticationFailed: the password is wrong or missing.
        """
        pause = _FIRST_PAUSE_SECONDS
        while not self.is_over():
            if self._client.state is State.QUIET:
                time.sleep(TICK_SECONDS)
                continue
            if not self._run.acquire_slot():
                continue
            if self.is_over():  # stopped while it waited for the slot
                self._run.release_slot()
                return
            since = time.monotonic(), self._client.now()
            try:
                job = self._client._fetch(self._queues())  # noqa: SLF001  # the superclass's name
            except FaktoryError as exc:
                self._run.release_slot()
                if isinstance(exc, AuthenticationFailed):
                    raise
                if not self.is_over():
                    self._pause_after(exc, pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            except BaseException:  # such as a subclass's: the slot must not count as a FETCH
                self._run.release_slot()
                raise
            pause = _FIRST_PAUSE_SECONDS
            if job is None:
                self._run.release_slot()
            else:
                self._run.submit(job, since)

    def _pause_after(self, exc: FaktoryError, seconds: float) -> None:
        """Log an error, and wait for some seconds or until the run is over."""
        source = "Faktory: " if isinstance(exc, CommandRefused) else ""
        log.warning(
            'FETCH failed, will be retried: next_in=%.1fs error="%s%s"', seconds, source, exc
        )
        deadline = time.monotonic() + seconds
        while not self.is_over() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, TICK_SECONDS))
