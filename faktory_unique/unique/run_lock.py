"""`RunLock`: acquires, holds, releases an exclusive job's run lock; the delay if it is blocked.

The run lock is acquired for 30 s first. It is held for the reservation once its worker has received
the reply. If the reply to the acquire is lost, other jobs wait for seconds, not for an hour.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.events import EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.replies import Meaning
from faktory_unique.locks.server_rules import expiry_noticed_after, failures_before
from faktory_unique.middleware import Requeue

from .lock_writes import LEFT_TO_ITS_TTL

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.locks.stamp import Stamp
    from faktory_unique.locks.transition import Transition
    from faktory_unique.middleware import Payload

    from .context import UniqueContext

# Seconds until a job is due again if another job of its key is running. The server looks for due
# jobs every 5 s.
RUN_LOCK_RETRY = 5.0


class RunLock:
    """The run lock of one fetched job.

    Args:
        context: shared by all jobs of one `Unique`. It keeps the token from FETCH to the report.
        job: the payload as fetched.
        stamp: the job's stamp.
        on_error: called with a text if the run lock cannot be released now.
    """

    def __init__(
        self, context: UniqueContext, job: Payload, stamp: Stamp, on_error: Callable[[str], None]
    ) -> None:
        self._context = context
        self._on_error = on_error
        self._job = job
        self._key = stamp.key
        # One worker can have two attempts of the same jid, if the first outlived its reservation.
        # Each was enqueued at another time.
        self._attempt = (job["jid"], job.get("enqueued_at"), failures_before(job))

    def prepare_acquire(self) -> Transition:
        """Record a new token. Return the transition that acquires the run lock for 30 s."""
        # The jid says which job runs. The rest makes the token unique to this attempt.
        token = f"{self._job['jid']}:{uuid.uuid4().hex[:16]}"
        self._context.run_tokens[self._attempt] = token
        return lifecycle.acquire_run_transition(self._key, token)

    def hold_transition(self) -> Transition:
        """Return the transition that holds the run lock for the reservation."""
        token = self._context.run_tokens[self._attempt]
        return lifecycle.hold_run_transition(self._key, token, self._job)

    def forget_token(self) -> None:
        """Forget the token: another job has the run lock, so this job does not release it."""
        self._context.run_tokens.pop(self._attempt, None)

    def release(self) -> None:
        """Release the run lock if this job has it. If the store is unavailable, defer that."""
        transition = self._pop_release_transition()
        if transition is not None:
            try:
                self._context.deferred.apply_or_defer(
                    transition, self._expiry_seconds, _ignore_reply, self._on_refused
                )
            except StoreError as exc:
                if exc.refused:
                    self._on_refused(str(exc))
                    return
                self._on_error(f"run lock: {exc}; released once the store is back")
                self._context.deferred.flush_in_background()

    def defer_release(self) -> None:
        """Release the run lock once the store is back: this job may have acquired it."""
        transition = self._pop_release_transition()
        if transition is not None:
            self._context.deferred.defer(
                *(transition, self._expiry_seconds, _ignore_reply, self._on_refused),
                yields=False,
            )
            self._context.deferred.flush_in_background()

    def _on_refused(self, reason: str) -> None:
        self._on_error(f"run lock: {reason}; {LEFT_TO_ITS_TTL}")

    @property
    def _expiry_seconds(self) -> float:
        """Seconds after which the run lock has lapsed anyway, so that a release can expire."""
        return expiry_noticed_after(self._job)

    def _pop_release_transition(self) -> Transition | None:
        """Forget the token. Return the transition that releases it; None if there was no token."""
        token = self._context.run_tokens.pop(self._attempt, None)
        return None if token is None else lifecycle.release_run_transition(self._key, token)


def _ignore_reply(_transition: Transition, _found: str | None) -> None:
    """Do nothing: the release of a run lock has no event."""


def meaning_of_run_lock(token: str | None) -> Meaning:
    """Return the meaning of a run lock that was not acquired, or lapsed before it was held.

    Args:
        token: the value found, another attempt's token; None if the run lock lapsed.
    """
    lapsed = "the run lock lapsed before it was held"
    detail = lapsed if token is None else f"{jid_in_token(token)} runs"
    return Meaning(EventName.RUN_BLOCKED, detail, Requeue(RUN_LOCK_RETRY, detail))


def jid_in_token(token: str) -> str:
    """Return the jid in the token of a run lock: the job that is running."""
    return token.rpartition(":")[0]
