"""The lock of one fetched job: what a worker does to it at each step of the table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from . import lifecycle
from .chain import Answer
from .change import owner_of
from .errors import StoreError
from .events import Event, EventName
from .lifecycle import Act, Step
from .reserved import reserve_for

if TYPE_CHECKING:
    from .chain import Payload
    from .change import Change
    from .parts import Parts
    from .stamp import Stamp

_ACKED = {Answer.ACCEPTED: Step.ACK, Answer.LATE: Step.ACK_LATE}
_FAILED = {Answer.ACCEPTED: Step.FAIL, Answer.LATE: Step.FAIL}


class Holding:
    """The lock of one fetched job.

    The job comes first: no failure of the store keeps one from running or from being reported. What
    could not be changed is changed when the store is back.

    Args:
        parts: those of `Unique`.
        job: the payload as fetched.
        stamp: what it bears.
    """

    def __init__(self, parts: Parts, job: Payload, stamp: Stamp) -> None:
        self._parts = parts
        self._job = job
        self._stamp = stamp

    def fetched(self) -> bool:
        """The job is to run. False: it must not yet, since its lock stands and cannot be freed."""
        change = lifecycle.change(Step.FETCH, self._stamp, self._job)
        if change is None:
            return True
        if lifecycle.TABLE[Step.FETCH][self._stamp.until] is not Act.RELEASE:
            self._make(Step.FETCH, change, reserve_for(self._job))
            return True
        try:
            [found] = self._parts.store.run([change])
        except StoreError as exc:
            self._tell(EventName.STORE_ERROR, f"FETCH: {exc}; the job is put back")
            return False
        self._tell_found(Step.FETCH, change, found)
        return True

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
        change = lifecycle.change(Step.PUT_BACK, self._stamp, self._job, delay)
        if change is not None:
            self._make(Step.PUT_BACK, change, change.ttl)

    def was_put_back(self, answer: Answer, delay: float) -> None:
        """The copy was pushed and the job acknowledged, or not."""
        if answer is not Answer.REFUSED:
            self._tell(EventName.PUT_BACK, f"due in {delay:g} s ({answer.value})")

    def _reported(self, step: Step | None) -> None:
        change = None if step is None else lifecycle.change(step, self._stamp, self._job)
        if step is not None and change is not None:
            # No longer than the lock lives, from when it was last set.
            self._make(step, change, lifecycle.attempt(self._stamp, self._job))

    def _make(self, step: Step, change: Change, seconds: float) -> None:
        """Makes a change now, or within some seconds, when the store is back."""
        made = partial(self._tell_found, step)
        try:
            found = self._parts.kept.run(change, seconds, made)
        except StoreError as exc:
            self._tell(EventName.STORE_ERROR, f"{step.name}: {exc}; made when it is back")
            self._parts.kept.retry_in_background()
        else:
            made(change, found)

    def _tell_found(self, step: Step, change: Change, found: str | None) -> None:
        """Tells what a change came to."""
        if change.value is None:
            if change.happened(found):
                self._tell(EventName.RELEASED)
            elif step is Step.FETCH and not self._may_have_started():
                self._tell(EventName.LAPSED, _whose(found))
        elif step is Step.FETCH:
            self._tell_held(change, found)

    def _tell_held(self, change: Change, found: str | None) -> None:
        if found is not None and owner_of(found) != self._stamp.owner:
            self._tell(EventName.LAPSED, _whose(found))
        elif found is not None:
            if change.happened(found):
                self._tell(EventName.HELD if self._stamp.renew else EventName.CONFIRMED)
        elif change.happened(found):
            self._tell(EventName.REACQUIRED)
        else:
            self._tell(EventName.LAPSED, _whose(found))

    def _may_have_started(self) -> bool:
        """Whether an attempt before this can have freed the lock: it failed, or was put back."""
        return bool(self._job.get("failure")) or self._job["jid"] != self._stamp.owner

    def _tell(self, name: EventName, told: str = "") -> None:
        stamp, job = self._stamp, self._job
        event = Event(name, stamp.key, stamp.owner, job["jid"], job["jobtype"], told)
        self._parts.hooks.tell(event)


def _whose(found: str | None) -> str:
    """Whose lock was found in the place of one that had lapsed, in words."""
    return "its time was over" if found is None else f"{owner_of(found)} has it"
