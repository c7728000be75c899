"""The run lock of an exclusive job: while it stands, no other job of its key runs.

It is taken for a moment, and for as long as the reservation only once that is known: a take that
nobody heard the answer of keeps the others waiting for seconds, not for an hour.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.locks import lifecycle
from faktory_unique.locks.server_rules import expiry_noticed_after, failures_before

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.locks.stamp import Stamp
    from faktory_unique.locks.transition import Transition
    from faktory_unique.middleware import Payload

    from .context import UniqueContext


class RunLock:
    """The run lock of one fetched job.

    Args:
        parts: those of `Unique`, which know it from FETCH to the report.
        job: the payload as fetched.
        stamp: what it bears.
        tell: told in words when it cannot be freed.
    """

    def __init__(
        self, context: UniqueContext, job: Payload, stamp: Stamp, tell: Callable[[str], None]
    ) -> None:
        self._context = context
        self._tell = tell
        self._job = job
        self._key = stamp.key
        # One worker can have two attempts at the same jid, the first having outlived its
        # reservation: each is queued at a time of its own.
        self._attempt = (job["jid"], job.get("enqueued_at"), failures_before(job))

    def begin(self) -> Transition:
        """What takes it, for a moment."""
        # Its job can be read off it; the rest makes it this attempt's, whoever has the same jid.
        token = f"{self._job['jid']}:{uuid.uuid4().hex[:16]}"
        self._context.runs[self._attempt] = token
        return lifecycle.acquire_run_transition(self._key, token)

    def hold(self) -> Transition:
        """What has it stand for the reservation."""
        return lifecycle.hold_run_transition(
            self._key, self._context.runs[self._attempt], self._job
        )

    def discard(self) -> None:
        """Another has it."""
        self._context.runs.pop(self._attempt, None)

    def end(self) -> None:
        """Frees it, if this job has it; once the store is back, where it is away."""
        transition = self._end()
        if transition is not None:
            try:
                self._context.deferred.apply_or_defer(
                    transition, expiry_noticed_after(self._job), _tell_nobody
                )
            except StoreError as exc:
                self._tell(f"run lock: {exc}; freed when it is back")
                self._context.deferred.flush_in_background()

    def release_later(self) -> None:
        """Frees it once the store is back, if it is then found to have been taken."""
        transition = self._end()
        if transition is not None:
            self._context.deferred.defer(
                transition, expiry_noticed_after(self._job), _tell_nobody, yields=False
            )
            self._context.deferred.flush_in_background()

    def _end(self) -> Transition | None:
        token = self._context.runs.pop(self._attempt, None)
        return None if token is None else lifecycle.release_run_transition(self._key, token)


def _tell_nobody(_change: Transition, _found: str | None) -> None:
    """Nobody waits for the freeing of a run lock."""


def runner(token: str) -> str:
    """The jid of the job that runs."""
    return token.rpartition(":")[0]
