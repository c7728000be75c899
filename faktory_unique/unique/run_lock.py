"""The run lock of an exclusive job: while it stands, no other job of its key runs.

It is acquired for a moment first, and held for the reservation only once its worker knows that it
has it. If the reply to the acquire is lost, other jobs wait for seconds, not for an hour.
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
        context: shared by all jobs of one `Unique`; it has the token from FETCH to the report.
        job: the payload as fetched.
        stamp: the job's stamp.
        on_error: called with a text if the lock cannot be released now.
    """

    def __init__(
        self, context: UniqueContext, job: Payload, stamp: Stamp, on_error: Callable[[str], None]
    ) -> None:
        self._context = context
        self._on_error = on_error
        self._job = job
        self._key = stamp.key
        # One worker can have two attempts at the same jid, if the first outlived its reservation.
        # Each was enqueued at another time.
        self._attempt = (job["jid"], job.get("enqueued_at"), failures_before(job))

    def acquire_transition(self) -> Transition:
        """Return the transition that acquires the lock for a moment, with a new token."""
        # The jid says which job runs. The rest makes the token this attempt's alone.
        token = f"{self._job['jid']}:{uuid.uuid4().hex[:16]}"
        self._context.run_tokens[self._attempt] = token
        return lifecycle.acquire_run_transition(self._key, token)

    def hold_transition(self) -> Transition:
        """Return the transition that holds the lock for the reservation."""
        token = self._context.run_tokens[self._attempt]
        return lifecycle.hold_run_transition(self._key, token, self._job)

    def discard(self) -> None:
        """Forget the token: another job has the lock."""
        self._context.run_tokens.pop(self._attempt, None)

    def release(self) -> None:
        """Release the lock if this job has it; once the store is back, if it is unavailable."""
        transition = self._release_transition()
        if transition is not None:
            try:
                self._context.deferred.apply_or_defer(transition, self._seconds, _ignore_reply)
            except StoreError as exc:
                self._on_error(f"run lock: {exc}; released once the store is back")
                self._context.deferred.flush_in_background()

    def release_later(self) -> None:
        """Release the lock once the store is back, if this job turns out to have acquired it."""
        transition = self._release_transition()
        if transition is not None:
            self._context.deferred.defer(transition, self._seconds, _ignore_reply, yields=False)
            self._context.deferred.flush_in_background()

    @property
    def _seconds(self) -> float:
        """Seconds after which the lock has expired anyway."""
        return expiry_noticed_after(self._job)

    def _release_transition(self) -> Transition | None:
        token = self._context.run_tokens.pop(self._attempt, None)
        return None if token is None else lifecycle.release_run_transition(self._key, token)


def _ignore_reply(_transition: Transition, _found: str | None) -> None:
    """Nothing follows from the release of a run lock."""
