"""The lock of one fetched job: what a worker does to it at each step of the table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.events import Event, EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.lifecycle import Act, Step
from faktory_unique.locks.server_rules import reserve_for
from faktory_unique.locks.transition import owner_of, replaced_by
from faktory_unique.middleware import Drop, ReportStatus, Requeue
from faktory_unique.stores.two_step import run_in_two_steps

from .run_lock import RunLock, runner

if TYPE_CHECKING:
    from faktory_unique.locks.stamp import Stamp
    from faktory_unique.locks.transition import Transition
    from faktory_unique.middleware import Payload

    from .context import UniqueContext

_ACKED = {ReportStatus.ACCEPTED: Step.ACK, ReportStatus.LATE: Step.ACK_LATE}
_FAILED = {ReportStatus.ACCEPTED: Step.FAIL, ReportStatus.LATE: Step.FAIL}

# Seconds after which a job is tried again whose lock must be changed first, the store being away.
_STORE_AWAY = 10.0

# Seconds after which a job is tried again while another of its key runs. The server looks for jobs
# that are due every 5.
_TURN = 5.0


class JobLock:
    """The lock of one fetched job.

    The job comes first: no failure of the store keeps one from being reported, nor from running,
    but where it must know first that nothing speaks against it. What could not be changed is
    changed when the store is back.

    Args:
        parts: those of `Unique`.
        job: the payload as fetched.
        stamp: what it bears.
    """

    def __init__(self, context: UniqueContext, job: Payload, stamp: Stamp) -> None:
        self._context = context
        self._job = job
        self._stamp = stamp
        self._run_lock = RunLock(context, job, stamp, partial(self._tell, EventName.STORE_ERROR))

    def fetched(self, *, runs: bool) -> Requeue | Drop | None:
        """The job is to run, or, where `runs` is False, to be dropped: what to do instead, if any.

        It steps aside where another was pushed in its place. It waits where another of its key
        runs; and where the store is away, and must first free a lock by which pushes would be taken
        for duplicates of what this run may have missed, or say whose turn or place it is.
        """
        stamp = self._stamp
        if not runs and stamp.replaces is not None:
            stamp = stamp._replace(replaces=None)  # for what is not to run, nothing steps aside
        transition = lifecycle.transition_for(Step.FETCH, stamp, self._job)
        exclusive = stamp.exclusive and runs
        frees = stamp.enforce and lifecycle.TABLE[Step.FETCH][stamp.until] is Act.RELEASE
        try:
            if exclusive and (instead := self._await_turn()) is not None:
                return instead
            if transition is not None and (exclusive or frees or stamp.replaces is not None):
                return self._prepare(transition)
        except StoreError as exc:
            self._run_lock.release_later()
            self._tell(EventName.STORE_ERROR, f"FETCH: {exc}; the job is put back")
            return Requeue(_STORE_AWAY)
        if transition is None:
            return None
        if transition.is_read_only:
            return self._look(transition)
        return self._aside(self._make(Step.FETCH, transition, reserve_for(self._job)))

    def not_reported(self) -> None:
        """Reporting raised, and nobody knows what became of it: but the handler is over."""
        self._run_lock.end()

    def ending(self) -> None:
        """The job is about to be reported, and may be another worker's soon."""
        self._context.deferred.forbid_acquire(self._stamp.key, self._stamp.owner)

    def acked(self, answer: ReportStatus) -> None:
        """ACK was sent, or not."""
        self._reported(_ACKED.get(answer))

    def failed(self, answer: ReportStatus) -> None:
        """FAIL was sent, or not."""
        self._reported(_FAILED.get(answer))

    def requeue(self, delay: float) -> None:
        """A copy of the job is about to be pushed, due in `delay` seconds."""
        self._run_lock.end()
        transition = lifecycle.transition_for(Step.REQUEUE, self._stamp, self._job, delay)
        if transition is not None:
            self._make(Step.REQUEUE, transition, transition.ttl)

    def was_requeued(self, answer: ReportStatus, delay: float) -> None:
        """The copy was pushed and the job acknowledged, or not."""
        if answer is not ReportStatus.REFUSED:
            self._tell(EventName.REQUEUED, f"due in {delay:g} s ({answer.value})")

    def _await_turn(self) -> Requeue | Drop | None:
        """Takes the run lock of an exclusive job; what to do instead of running it."""
        stamp, store = self._stamp, self._context.store
        transitions = [self._run_lock.begin()]
        if stamp.replaceable or stamp.replaces:
            # Now, and not when its turn has come: by then nobody may know any more who is replaced.
            transitions.append(lifecycle.replace_transition_at_fetch(stamp, self._job))
        token, *found = store.run(transitions)
        aside = self._aside(*found) if found else None
        if token is None and aside is not None:
            self._run_lock.end()
            return aside
        if token is None:
            hold = self._run_lock.hold()
            [token] = store.run([hold])
            if hold.applied(token):
                return None
        self._run_lock.discard()
        if aside is not None:
            return aside
        self._tell(EventName.RUN_BLOCKED, f"{runner(token)} runs" if token else "it took too long")
        return Requeue(_TURN)

    def _prepare(self, transition: Transition) -> Drop | None:
        """Makes what must be made before the job runs; what to do instead of running it."""
        [found] = run_in_two_steps(self._context.store, [transition])
        self._tell_found(Step.FETCH, transition, found)
        aside = self._aside(found)
        if aside is not None:
            self._run_lock.end()
        return aside

    def _look(self, transition: Transition) -> Drop | None:
        """Whether the job is to step aside, where nothing else is to be done for it."""
        try:
            [found] = self._context.store.run([transition])
        except StoreError as exc:
            self._tell(EventName.STORE_ERROR, f"FETCH: {exc}; the job runs")
            return None
        return self._aside(found)

    def _aside(self, found: str | None) -> Drop | None:
        """Has a job step aside whose successor was found."""
        successor = replaced_by(found)
        if successor is None:
            return None
        self._tell(EventName.SUPERSEDED, f"replaced by {successor}")
        if self._stamp.until == "start":  # else its ACK sees to it, if the lock is its own again
            release = lifecycle.release_transition(self._stamp.key, self._stamp.owner)
            self._make(Step.ACK, release, self._stamp.ttl)
        return Drop(f"replaced by {successor}")

    def _reported(self, step: Step | None) -> None:
        self._run_lock.end()
        transition = (
            None if step is None else lifecycle.transition_for(step, self._stamp, self._job)
        )
        if step is not None and transition is not None:
            # No longer than the lock lives, from when it was last set.
            self._make(step, transition, lifecycle.attempt_seconds(self._stamp, self._job))

    def _make(self, step: Step, transition: Transition, seconds: float) -> str | None:
        """Makes a change now, or within some seconds, when the store is back; what was found."""
        made = partial(self._tell_found, step)
        try:
            found = self._context.deferred.apply_or_defer(transition, seconds, made)
        except StoreError as exc:
            self._tell(EventName.STORE_ERROR, f"{step.name}: {exc}; made when it is back")
            self._context.deferred.flush_in_background()
            return None
        made(transition, found)
        return found

    def _tell_found(self, step: Step, transition: Transition, found: str | None) -> None:
        """Tells what a change came to; that the job steps aside is told where it does."""
        if replaced_by(found) is not None or transition.is_read_only:
            return
        if transition.value is None:
            if transition.applied(found):
                self._tell(EventName.RELEASED)
            elif step is Step.FETCH and not self._may_have_started():
                self._tell(EventName.LAPSED, _whose(found))
        elif step is Step.FETCH:
            self._tell_held(transition, found)

    def _tell_held(self, transition: Transition, found: str | None) -> None:
        mine = found is not None and owner_of(found) == self._stamp.owner
        if transition.applied(found):
            held = EventName.RENEWED if self._stamp.renew else EventName.CONFIRMED
            self._tell(EventName.REACQUIRED if found is None else held)
        elif not mine and self._stamp.until != "expiry":
            self._tell(EventName.LAPSED, _whose(found))

    def _may_have_started(self) -> bool:
        """Whether an attempt before this can have freed the lock: it failed, or was put back."""
        return bool(self._job.get("failure")) or self._job["jid"] != self._stamp.owner

    def _tell(self, name: EventName, told: str = "") -> None:
        if not self._context.hooks.wants(name):
            return
        stamp, job = self._stamp, self._job
        event = Event(name, stamp.key, stamp.owner, job["jid"], job["jobtype"], told)
        self._context.hooks.tell(event)


def _whose(found: str | None) -> str:
    """Whose lock was found in the place of one that had lapsed, in words."""
    return "its time was over" if found is None else f"{owner_of(found)} has it"
