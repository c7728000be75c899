"""One chunk of a push on its way: its locks taken, its jobs sent, answered, its locks settled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from faktory_unique.errors import InvalidJob
from faktory_unique.locks.stamp import without_stamp
from faktory_unique.middleware import InnermostPush, one_each
from faktory_unique.results import PushResult, PushStatus

from .chunk_locks import ChunkLocks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faktory_unique.middleware import Payload, PendingPush

    from .context import UniqueContext
    from .lock_request import LockRequest

_OPEN = (PushStatus.UNKNOWN, PushStatus.NOT_SENT)


class ChunkPush:
    """The push of one chunk, step by step, so that other chunks can go on between its steps.

    To be ended, whatever came of it.

    Args:
        context: those of `Unique`.
        jobs: the chunk's payloads, by their place in the batch.
        requests: the claims of those that are unique.
        results: of the batch, by place: what becomes of the chunk's jobs is written there.
        call_next: pushes payloads onwards.
    """

    def __init__(
        self,
        context: UniqueContext,
        jobs: Mapping[int, Payload],
        requests: Mapping[int, LockRequest],
        results: dict[int, PushResult],
        call_next: Callable[[Sequence[Payload]], list[PushResult]],
    ) -> None:
        self._jobs = jobs
        self._results = results
        self._call_next = call_next
        self._requests = requests
        self._locks = ChunkLocks(context, requests)
        self._pid = os.getpid()
        self._is_waiting = False
        self._is_heard = False
        self._goes_on = True
        self._sending: list[int] = []
        self._pending: PendingPush
        self._is_sent = False

    def end(self) -> None:
        """Leaves nothing half done, whatever has been raised before.

        What was sent is heard, and its locks are settled; those of what was not sent are freed.
        """
        if self._pid != os.getpid():
            return  # a hook has forked, and its child ends: all this is the parent's
        try:
            if self._is_waiting:
                self._locks.give_back()
            self.hear()
            self.settle()
        finally:
            self.close()

    def close(self) -> None:
        """Its jobs can be pushed anew."""
        self._locks.close()

    @property
    def must_settle_first(self) -> bool:
        """Whether its locks, once it is heard, are to be settled before another chunk is sent."""
        return self._locks.are_old or not isinstance(self._call_next, InnermostPush)

    def take(self) -> None:
        """Takes the locks, and writes what is to be sent; the results of duplicates are there.

        Raises:
            StoreError: they could not be taken; those that were have been given back.
            InvalidJob: a job is not JSON.
        """
        self._results.update(self._locks.take())
        self._is_waiting = True
        self._write()

    def send(self) -> None:
        """Sends the jobs that got their lock, leased anew where they had to wait for long.

        Raises:
            InvalidJob: a veto: nothing was sent.
            StoreError: the locks could not be leased anew: nothing was sent.
        """
        if self._locks.are_old:
            self._results.update(self._locks.renew())
            self._write()
        if not self._sending:
            return
        self._is_waiting = False
        try:
            self._pending.send()
            self._is_sent = True
        except InvalidJob:
            self._is_waiting = True
            raise
        except BaseException:  # raised perhaps after the send, by a Ctrl-C too
            self._locks.leave()
            raise

    def hear(self) -> bool:
        """Waits for the answer, and writes the results. False: nothing more is to be sent."""
        if self._is_sent:
            self._is_sent = False
            try:
                answers = dict(zip(self._sending, self._pending.receive(), strict=True))
                results = {i: self._result(i, told) for i, told in answers.items()}
                self._goes_on = not any(told.status in _OPEN for told in results.values())
                self._results.update(results)
                self._is_heard = True
            except BaseException:  # also by a Ctrl-C
                self._locks.leave()
                raise
        return self._goes_on

    def settle(self) -> None:
        """Confirms the locks of what was pushed, and gives back those of what was refused.

        Then the chunk is over: its jobs can be pushed anew.
        """
        if self._is_heard:
            self._is_heard = False
            self._results.update(self._locks.settle(self._results))
        self.close()

    def _result(self, i: int, told: PushResult) -> PushResult:
        accepted = self._locks.accepted
        key = accepted[i].key if i in accepted else None
        # Made anew at once: `_replace` takes twice as long.
        return PushResult(
            told.status,
            told.jid,
            self._jobs[i]["jid"],
            key,
            told.confirmed,
            told.retry_after,
            told.error,
            told.replaced,
        )

    def _write(self) -> None:
        accepted = self._locks.accepted
        self._sending = [i for i in self._jobs if i not in self._requests or i in accepted]
        payloads = [
            accepted[i].stamped() if i in accepted else without_stamp(self._jobs[i])
            for i in self._sending
        ]
        call_next = self._call_next
        if isinstance(call_next, InnermostPush):
            self._pending = call_next.begin(payloads)
        else:
            self._pending = _ChainedPush(call_next, payloads)


class _ChainedPush:
    """A push through other middleware, which is over when it is sent."""

    def __init__(
        self,
        call_next: Callable[[Sequence[Payload]], list[PushResult]],
        payloads: Sequence[Payload],
    ) -> None:
        self._call_next = call_next
        self._payloads = payloads
        self._results: list[PushResult] = []

    def send(self) -> None:
        self._results = one_each(self._call_next(self._payloads), self._payloads)

    def receive(self) -> list[PushResult]:
        return self._results
