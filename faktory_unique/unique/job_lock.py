"""`JobLock`: one fetched job's lock, FETCH to report; the delay if it is requeued (store failed).

`locks/lifecycle` says what each step writes, and `locks/replies` what the reply means. This module
sends the writes, emits the events, and requeues the job if the store fails and the write is needed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.events import Event, EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.lifecycle import Need, Step
from faktory_unique.locks.lock_ttl import attempt_seconds
from faktory_unique.locks.replies import meaning_of
from faktory_unique.locks.server_rules import reserve_for
from faktory_unique.locks.transition import replaced_by
from faktory_unique.middleware import Drop, ReportStatus, Requeue
from faktory_unique.stores.two_step import run_in_two_steps

from .lock_writes import LEFT_TO_ITS_TTL
from .run_lock import RunLock, meaning_of_run_lock

if TYPE_CHECKING:
    from faktory_unique.locks.lifecycle import FetchWrite
    from faktory_unique.locks.replies import Meaning
    from faktory_unique.locks.stamp import Stamp
    from faktory_unique.locks.transition import Transition
    from faktory_unique.middleware import Payload

    from .context import UniqueContext

_STEP_AFTER_ACK = {ReportStatus.ACCEPTED: Step.ACK, ReportStatus.LATE: Step.ACK_LATE}
_STEP_AFTER_FAIL = {ReportStatus.ACCEPTED: Step.FAIL, ReportStatus.LATE: Step.FAIL}

# Seconds until a job is due again, if the store failed and the job must not run before its write.
_STORE_RETRY = 10.0


class JobLock:
    """The lock of one fetched job.

    A failing store never prevents a report. It prevents a run only if the write at FETCH is
    required. Other writes that failed are deferred until the store is back.

    Args:
        context: shared by all jobs of one `Unique`.
        job: the payload as fetched.
        stamp: the job's stamp.
    """

    def __init__(self, context: UniqueContext, job: Payload, stamp: Stamp) -> None:
        self._context = context
        self._job = job
        self._stamp = stamp
        self._run_lock = RunLock(context, job, stamp, partial(self._emit, EventName.STORE_ERROR))

    def on_fetch(self, *, runs: bool) -> Requeue | Drop | None:
        """Write the lock at FETCH. Return the decision that replaces the run; None to go on.

        Args:
            runs: whether the job is to run; False if a middleware drops it.
        """
        write = lifecycle.fetch_write(self._stamp, self._job, runs=runs)
        try:
            if self._stamp.exclusive and runs:
                decision = self._acquire_run_lock()
                if decision is not None:
                    return decision
            return None if write is None else self._write_at_fetch(write)
        except StoreError as exc:
            self._run_lock.defer_release()
            self._emit(EventName.STORE_ERROR, f"FETCH: {exc}; the job is requeued")
            return Requeue(_STORE_RETRY, "the store failed")

    def before_report(self) -> None:
        """Stop deferred writes from acquiring the lock: the job may soon be done elsewhere."""
        self._context.deferred.forbid_acquire(self._stamp.key, self._stamp.owner)

    def on_ack(self, status: ReportStatus) -> None:
        """Write the lock by the status of the job's ACK, and release the run lock."""
        self._after_report(_STEP_AFTER_ACK.get(status))

    def on_fail(self, status: ReportStatus) -> None:
        """Write the lock by the status of the job's FAIL, and release the run lock."""
        self._after_report(_STEP_AFTER_FAIL.get(status))

    def report_failed(self) -> None:
        """Release the run lock after an exception in the report chain: the handler has finished.

        The lock of the key stays: it is unknown if Faktory got the report.
        """
        self._run_lock.release()

    def before_requeue(self, delay: float) -> None:
        """Release the run lock, and extend the lock for the copy that is about to be pushed.

        Args:
            delay: seconds until the copy is due.
        """
        self._run_lock.release()
        transition = lifecycle.transition_for(Step.REQUEUE, self._stamp, self._job, delay)
        if transition is not None:
            self._apply(Step.REQUEUE, transition, transition.ttl)

    def after_requeue(self, status: ReportStatus, delay: float) -> None:
        """Emit `requeued`, unless Faktory refused the copy."""
        if status is not ReportStatus.REFUSED:
            self._emit(EventName.REQUEUED, f"due in {delay:g} s ({status.value})")

    def _acquire_run_lock(self) -> Requeue | Drop | None:
        """Acquire the run lock of an exclusive job. Return the decision instead of a run, or None.

        Raises:
            StoreError: the store failed. The run lock may be acquired.
        """
        stamp, store = self._stamp, self._context.store
        transitions = [self._run_lock.prepare_acquire()]
        if stamp.replaceable or stamp.replaces:
            # Now, not when the job runs: by then it may be unknown which job it replaces (5.67).
            transitions.append(lifecycle.swap_transition_at_fetch(stamp, self._job))
        token, *found = store.run(transitions)
        if found and replaced_by(*found) is not None:
            decision = self._on_reply(Step.FETCH, transitions[1], *found)
            self._run_lock.release() if token is None else self._run_lock.forget_token()
            return decision
        if token is None:
            hold = self._run_lock.hold_transition()
            [token] = store.run([hold])
            if hold.applied(token):
                return None
        self._run_lock.forget_token()
        return self._carry_out(meaning_of_run_lock(token))

    def _write_at_fetch(self, write: FetchWrite) -> Requeue | Drop | None:
        """Write the lock. Return the decision instead of a run, or None.

        Raises:
            StoreError: the store failed, and the job must not run before this write.
        """
        transition, need = write
        if need is Need.DEFERRABLE:
            return self._apply(Step.FETCH, transition, reserve_for(self._job))
        try:
            [found] = run_in_two_steps(self._context.store, [transition])
        except StoreError as exc:
            if need is Need.REQUIRED:
                raise
            self._emit(EventName.STORE_ERROR, f"FETCH: {exc}; the job runs")
            return None
        decision = self._on_reply(Step.FETCH, transition, found)
        if decision is not None:
            self._run_lock.release()
        return decision

    def _after_report(self, step: Step | None) -> None:
        self._run_lock.release()
        if step is None:
            return
        transition = lifecycle.transition_for(step, self._stamp, self._job)
        if transition is not None:
            # The write expires after the longest TTL that the lock can have had until now.
            self._apply(step, transition, attempt_seconds(self._stamp, self._job))

    def _apply(self, step: Step, transition: Transition, seconds: float) -> Requeue | Drop | None:
        """Apply a transition; if the store fails, defer it for `seconds` at most."""
        try:
            found = self._context.deferred.apply_or_defer(
                *(transition, seconds, partial(self._on_deferred_reply, step)),
                partial(self._on_refused, step),
            )
        except StoreError as exc:
            if exc.refused:
                self._on_refused(step, str(exc))
                return None
            detail = f"{step.name}: {exc}; applied once the store is back"
            self._emit(EventName.STORE_ERROR, detail)
            self._context.deferred.flush_in_background()
            return None
        return self._on_reply(step, transition, found)

    def _on_reply(
        self, step: Step, transition: Transition, found: str | None
    ) -> Requeue | Drop | None:
        return self._carry_out(meaning_of(step, self._stamp, self._job, transition, found))

    def _on_deferred_reply(self, step: Step, transition: Transition, found: str | None) -> None:
        """Emit the event of a deferred write. A decision has no effect: the job runs already."""
        meaning = meaning_of(step, self._stamp, self._job, transition, found)
        if meaning.decision is None:
            self._carry_out(meaning)

    def _on_refused(self, step: Step, reason: str) -> None:
        self._emit(EventName.STORE_ERROR, f"{step.name}: {reason}; {LEFT_TO_ITS_TTL}")

    def _carry_out(self, meaning: Meaning) -> Requeue | Drop | None:
        """Emit the event of a reply. Return its decision. Release the lock of a dropped job."""
        if meaning.event is not None:
            self._emit(meaning.event, meaning.detail)
        if isinstance(meaning.decision, Drop) and self._stamp.until == "start":
            # Under "success", the ACK of the dropped job releases the lock, if it is its own again.
            release = lifecycle.release_transition(self._stamp.key, self._stamp.owner)
            self._apply(Step.ACK, release, self._stamp.ttl)
        return meaning.decision

    def _emit(self, name: EventName, detail: str = "") -> None:
        hooks, stamp, job = self._context.hooks, self._stamp, self._job
        if hooks.wants(name):
            hooks.emit(Event(name, stamp.key, stamp.owner, job["jid"], job["jobtype"], detail))
