"""The lock of one fetched job: what a worker does to it at each step of the table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from faktory_unique.errors import StoreError
from faktory_unique.events import Event, EventName
from faktory_unique.locks import lifecycle
from faktory_unique.locks.lifecycle import Act, Step
from faktory_unique.locks.server_rules import reserve_for
from faktory_unique.locks.transition import owner_of, successor_of
from faktory_unique.middleware import Answer, Drop, PutBack
from faktory_unique.stores.two_step import run_in_steps

from .run_lock import RunLock, runner

if TYPE_CHECKING:
    from faktory_unique.locks.stamp import Stamp
    from faktory_unique.locks.transition import Change
    from faktory_unique.middleware import Payload

    from .context import Parts

_ACKED = {Answer.ACCEPTED: Step.ACK, Answer.LATE: Step.ACK_LATE}
_FAILED = {Answer.ACCEPTED: Step.FAIL, Answer.LATE: Step.FAIL}

# Seconds after which a job is tried again whose lock must be changed first, the store being away.
_STORE_AWAY = 10.0

# Seconds after which a job is tried again while another of its key runs. The server looks for jobs
# that are due every 5.
_TURN = 5.0


class Holding:
    """The lock of one fetched job.

    The job comes first: no failure of the store keeps one from being reported, nor from running,
    but where it must know first that nothing speaks against it. What could not be changed is
    changed when the store is back.

    Args:
        parts: those of `Unique`.
        job: the payload as fetched.
        stamp: what it bears.
    """

    def __init__(self, parts: Parts, job: Payload, stamp: Stamp) -> None:
        self._parts = parts
        self._job = job
        self._stamp = stamp
        self._run_lock = RunLock(parts, job, stamp, partial(self._tell, EventName.STORE_ERROR))

    def fetched(self, *, runs: bool) -> PutBack | Drop | None:
        """The job is to run, or, where `runs` is False, to be dropped: what to do instead, if any.

        It steps aside where another was pushed in its place. It waits where another of its key
        runs; and where the store is away, and must first free a lock by which pushes would be taken
        for duplicates of what this run may have missed, or say whose turn or place it is.
        """
        stamp = self._stamp
        if not runs and stamp.replaces is not None:
            stamp = stamp._replace(replaces=None)  # for what is not to run, nothing steps aside
        change = lifecycle.change(Step.FETCH, stamp, self._job)
        exclusive = stamp.exclusive and runs
        frees = stamp.enforce and lifecycle.TABLE[Step.FETCH][stamp.until] is Act.RELEASE
        try:
            if exclusive and (instead := self._await_turn()) is not None:
                return instead
            if change is not None and (exclusive or frees or stamp.replaces is not None):
                return self._prepare(change)
        except StoreError as exc:
            self._run_lock.give_up()
            self._tell(EventName.STORE_ERROR, f"FETCH: {exc}; the job is put back")
            return PutBack(_STORE_AWAY)
        if change is None:
            return None
        if change.changes_nothing:
            return self._look(change)
        return self._aside(self._make(Step.FETCH, change, reserve_for(self._job)))

    def not_reported(self) -> None:
        """Reporting raised, and nobody knows what became of it: but the handler is over."""
        self._run_lock.end()

    def ending(self) -> None:
        """The job is about to be reported, and may be another worker's soon."""
        self._parts.kept.stop_taking(self._stamp.key, self._stamp.owner)

    def acked(self, answer: Answer) -> None:
        """ACK was sent, or not."""
        self._reported(_ACKED.get(answer))

    def failed(self, answer: Answer) -> None:
        """FAIL was sent, or not."""
        self._reported(_FAILED.get(answer))

    def put_back(self, delay: float) -> None:
        """A copy of the job is about to be pushed, due in `delay` seconds."""
        self._run_lock.end()
        change = lifecycle.change(Step.PUT_BACK, self._stamp, self._job, delay)
        if change is not None:
            self._make(Step.PUT_BACK, change, change.ttl)

    def was_put_back(self, answer: Answer, delay: float) -> None:
        """The copy was pushed and the job acknowledged, or not."""
        if answer is not Answer.REFUSED:
            self._tell(EventName.PUT_BACK, f"due in {delay:g} s ({answer.value})")

    def _await_turn(self) -> PutBack | Drop | None:
        """Takes the run lock of an exclusive job; what to do instead of running it."""
        stamp, store = self._stamp, self._parts.store
        changes = [self._run_lock.begin()]
        if stamp.replaceable or stamp.replaces:
            # Now, and not when its turn has come: by then nobody may know any more who is replaced.
            changes.append(lifecycle.take_place(stamp, self._job))
        token, *found = store.run(changes)
        aside = self._aside(*found) if found else None
        if token is None and aside is not None:
            self._run_lock.end()
            return aside
        if token is None:
            hold = self._run_lock.hold()
            [token] = store.run([hold])
            if hold.happened(token):
                return None
        self._run_lock.lost()
        if aside is not None:
            return aside
        self._tell(EventName.EXCLUDED, f"{runner(token)} runs" if token else "it took too long")
        return PutBack(_TURN)

    def _prepare(self, change: Change) -> Drop | None:
        """Makes what must be made before the job runs; what to do instead of running it."""
        [found] = run_in_steps(self._parts.store, [change])
        self._tell_found(Step.FETCH, change, found)
        aside = self._aside(found)
        if aside is not None:
            self._run_lock.end()
        return aside

    def _look(self, change: Change) -> Drop | None:
        """Whether the job is to step aside, where nothing else is to be done for it."""
        try:
            [found] = self._parts.store.run([change])
        except StoreError as exc:
            self._tell(EventName.STORE_ERROR, f"FETCH: {exc}; the job runs")
            return None
        return self._aside(found)

    def _aside(self, found: str | None) -> Drop | None:
        """Has a job step aside whose successor was found."""
        successor = successor_of(found)
        if successor is None:
            return None
        self._tell(EventName.SUPERSEDED, f"replaced by {successor}")
        if self._stamp.until == "start":  # else its ACK sees to it, if the lock is its own again
            release = lifecycle.release(self._stamp.key, self._stamp.owner)
            self._make(Step.ACK, release, self._stamp.ttl)
        return Drop(f"replaced by {successor}")

    def _reported(self, step: Step | None) -> None:
        self._run_lock.end()
        change = None if step is None else lifecycle.change(step, self._stamp, self._job)
        if step is not None and change is not None:
            # No longer than the lock lives, from when it was last set.
            self._make(step, change, lifecycle.attempt(self._stamp, self._job))

    def _make(self, step: Step, change: Change, seconds: float) -> str | None:
        """Makes a change now, or within some seconds, when the store is back; what was found."""
        made = partial(self._tell_found, step)
        try:
            found = self._parts.kept.run(change, seconds, made)
        except StoreError as exc:
            self._tell(EventName.STORE_ERROR, f"{step.name}: {exc}; made when it is back")
            self._parts.kept.retry_in_background()
            return None
        made(change, found)
        return found

    def _tell_found(self, step: Step, change: Change, found: str | None) -> None:
        """Tells what a change came to; that the job steps aside is told where it does."""
        if successor_of(found) is not None or change.changes_nothing:
            return
        if change.value is None:
            if change.happened(found):
                self._tell(EventName.RELEASED)
            elif step is Step.FETCH and not self._may_have_started():
                self._tell(EventName.LAPSED, _whose(found))
        elif step is Step.FETCH:
            self._tell_held(change, found)

    def _tell_held(self, change: Change, found: str | None) -> None:
        mine = found is not None and owner_of(found) == self._stamp.owner
        if change.happened(found):
            held = EventName.HELD if self._stamp.renew else EventName.CONFIRMED
            self._tell(EventName.REACQUIRED if found is None else held)
        elif not mine and self._stamp.until != "expiry":
            self._tell(EventName.LAPSED, _whose(found))

    def _may_have_started(self) -> bool:
        """Whether an attempt before this can have freed the lock: it failed, or was put back."""
        return bool(self._job.get("failure")) or self._job["jid"] != self._stamp.owner

    def _tell(self, name: EventName, told: str = "") -> None:
        if not self._parts.hooks.wants(name):
            return
        stamp, job = self._stamp, self._job
        event = Event(name, stamp.key, stamp.owner, job["jid"], job["jobtype"], told)
        self._parts.hooks.tell(event)


def _whose(found: str | None) -> str:
    """Whose lock was found in the place of one that had lapsed, in words."""
    return "its time was over" if found is None else f"{owner_of(found)} has it"
