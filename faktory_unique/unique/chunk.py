"""`ChunkPush`: one chunk's acquire, send, receive, finalize in order; how an interrupt ends it."""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING

from faktory_unique.client.pending_push import InnermostPush
from faktory_unique.errors import InvalidJob
from faktory_unique.locks.stamp import without_stamp
from faktory_unique.results import PushStatus, require_one_result_each

from .chunk_locks import ChunkLocks
from .push_results import sent_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faktory_unique.client.pending_push import PendingPush
    from faktory_unique.middleware import Payload
    from faktory_unique.results import PushResult

    from .context import UniqueContext
    from .lock_request import LockRequest

# After such a result nothing more of the batch is sent.
_STOPPING = (PushStatus.UNKNOWN, PushStatus.NOT_SENT)


class Progress(Enum):
    """The state of the push of a chunk."""

    BEGUN = "some locks may be acquired"
    ACQUIRED = "the locks are acquired, nothing is sent"
    UNKNOWN = "the jobs may have been sent; their results are unknown"
    SENT = "the jobs are sent, the reply is not received"
    RECEIVED = "the results are received, the locks are not finalized"
    FINALIZED = "nothing is left to do"


_NOTHING_SENT = (Progress.BEGUN, Progress.ACQUIRED)


class ChunkPush:
    """The push of one chunk in steps, so that other chunks can make progress in between.

    Call `end` in any case, even after an exception, and then `close`.

    Args:
        context: shared by all pushes of one `Unique`.
        jobs: the chunk's payloads, by their index in the batch.
        requests: the lock requests of the unique jobs, by the same index.
        results: the results of the batch by the same index. The chunk's results are added here.
        call_next: the next `push` of the chain.
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
        self._progress = Progress.BEGUN
        self._places: list[int] = []
        self._pending: PendingPush | None = None

    def end(self) -> None:
        """Finish the chunk after success or an exception.

        If the jobs were sent, receive the reply and finalize the locks. If not, roll them back.
        """
        if self._pid != os.getpid():
            return  # a hook has forked, and this is its child: the chunk belongs to the parent
        if self._progress in _NOTHING_SENT:
            self._locks.roll_back()
        self.receive()
        self.finalize()

    def close(self) -> None:
        """Allow other pushes of the same jobs: this chunk is over."""
        self._locks.close()

    @property
    def must_finalize_first(self) -> bool:
        """Whether the chunk's locks must be finalized before another chunk is sent."""
        return self._locks.are_stale or not isinstance(self._call_next, InnermostPush)

    def acquire(self) -> None:
        """Acquire the locks and encode the jobs. Add the results of duplicates.

        Raises:
            StoreError: a lock could not be acquired. `end` rolls back those that were.
            InvalidJob: a job cannot be written as JSON.
        """
        self._results.update(self._locks.acquire())
        self._progress = Progress.ACQUIRED
        self._encode()

    def send(self) -> None:
        """Send the jobs that are not duplicates. Renew their leases first if they are stale.

        Raises:
            InvalidJob: an inner middleware refused the jobs. Nothing was sent.
            StoreError: the leases could not be renewed. Nothing was sent.
        """
        if self._locks.are_stale:
            self._results.update(self._locks.renew())
            self._encode()
        if self._pending is None:
            return
        self._progress = Progress.UNKNOWN
        try:
            self._pending.send()
            self._progress = Progress.SENT
        except InvalidJob:
            self._progress = Progress.ACQUIRED
            raise
        except BaseException:  # also a Ctrl-C; it may have come after the send
            self._locks.leave_leased()
            raise

    def receive(self) -> bool:
        """Wait for the reply and add the results. Return whether more chunks may be sent.

        It does nothing if there is no reply to wait for.
        """
        if self._progress is not Progress.SENT or self._pending is None:
            return True
        self._progress = Progress.UNKNOWN
        try:
            received = dict(zip(self._places, self._pending.receive(), strict=True))
            requests = self._locks.included
            results = {
                i: sent_result(requests.get(i), result, self._jobs[i]["jid"])
                for i, result in received.items()
            }
            self._results.update(results)
            self._progress = Progress.RECEIVED
        except BaseException:  # also a Ctrl-C
            self._locks.leave_leased()
            raise
        return not any(result.status in _STOPPING for result in results.values())

    def finalize(self) -> None:
        """Confirm the locks of pushed jobs, roll back those of refused jobs, and close."""
        if self._progress is Progress.RECEIVED:
            self._progress = Progress.FINALIZED
            self._results.update(self._locks.finalize(self._results))
        self.close()

    def _encode(self) -> None:
        """Encode the jobs that are to be sent, with their stamps."""
        included = self._locks.included
        self._places = [i for i in self._jobs if i not in self._requests or i in included]
        payloads = [
            included[i].payload() if i in included else without_stamp(self._jobs[i])
            for i in self._places
        ]
        if not payloads:
            self._pending = None
        elif isinstance(self._call_next, InnermostPush):
            self._pending = self._call_next.begin(payloads)
        else:
            self._pending = _ChainedPush(self._call_next, payloads)


class _ChainedPush:
    """A push through other middleware. Its `send` also waits for the results."""

    def __init__(
        self,
        call_next: Callable[[Sequence[Payload]], list[PushResult]],
        payloads: Sequence[Payload],
    ) -> None:
        self._call_next = call_next
        self._payloads = payloads
        self._results: list[PushResult] = []

    def send(self) -> None:
        self._results = require_one_result_each(self._call_next(self._payloads), self._payloads)

    def receive(self) -> list[PushResult]:
        return self._results
