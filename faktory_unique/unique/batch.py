"""`BatchPush`: a push in chunks of 200 jobs. Equal jobs follow a leader, also if it is refused.

The order of the steps makes it safe. All jobs are validated before any lock is acquired. Locks are
acquired a chunk at a time, while Faktory has the previous chunk, and renewed if they had to wait.
Faktory's reply for a job decides if its lock is confirmed, rolled back, or left to its lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.errors import InvalidJob, StoreError
from faktory_unique.events import EventName
from faktory_unique.results import PushResult, PushStatus

from .chunk import ChunkPush
from .push_results import duplicate_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faktory_unique.middleware import Payload

    from .context import UniqueContext
    from .lock_request import LockRequest

# The number of jobs of one PUSHB, and of locks acquired before it. It is small enough that most
# work on a list of a thousand is done while Faktory has another chunk. It is large enough that the
# cost of a command does not matter. Faktory recommends at most 1,000, and 200 take far less time
# than a lease lasts.
CHUNK_SIZE = 200

_ON_SERVER = {
    *(PushStatus.PUSHED, PushStatus.UNGUARDED, PushStatus.OBSERVED),
    PushStatus.DUPLICATE,
}


class BatchPush:
    """One call of `Unique.push`.

    Args:
        context: shared by all pushes of one `Unique`.
        jobs: the payloads, in order.
        requests: the lock requests of the unique jobs, by their index in `jobs`.
        call_next: the next `push` of the chain. It returns a result for each payload.
    """

    def __init__(
        self,
        context: UniqueContext,
        jobs: Sequence[Payload],
        requests: Mapping[int, LockRequest],
        call_next: Callable[[Sequence[Payload]], list[PushResult]],
    ) -> None:
        self._context = context
        self._jobs = jobs
        self._requests = requests
        self._call_next = call_next
        self._results: dict[int, PushResult] = {}
        self._open_chunks: list[ChunkPush] = []

    def run(self) -> list[PushResult]:
        """Push the jobs that are not duplicates. Return a result for each job, in order.

        Of equal jobs in the batch one is the leader, and the others are its followers. If the
        leader is pushed, its followers are duplicates. If it is refused, one of them is pushed
        instead. After an unknown outcome nothing more is sent.

        Raises:
            StoreError: a lock could not be acquired. `results` has one result for each job.
            InvalidJob: an inner middleware refused some jobs. `results` has all jobs, too.
        """
        pending: Sequence[int] = range(len(self._jobs))
        followers: Sequence[tuple[int, int]] = ()
        try:
            while pending:
                leaders, followers = self._split(pending)
                may_send_more = self._push(leaders)
                refused = [i for i, leader in followers if not self._follow(i, leader)]
                pending = refused if may_send_more else ()
        except (StoreError, InvalidJob) as exc:
            for i, leader in followers:
                self._follow(i, leader)
            exc.results = tuple(self._all_results())
            raise
        finally:
            # Again: an interrupt can come just before a chunk is ended. A Job that stays marked as
            # being pushed could never be pushed again.
            for chunk in self._open_chunks:
                chunk.close()
        return self._all_results()

    def _all_results(self) -> list[PushResult]:
        return [self._result(i) for i in range(len(self._jobs))]

    def _result(self, i: int) -> PushResult:
        return self._results[i] if i in self._results else self._not_sent(i)

    def _not_sent(self, i: int) -> PushResult:
        jid = self._jobs[i]["jid"]
        key = self._requests[i].key if i in self._requests else None
        return PushResult(
            status=PushStatus.NOT_SENT, jid=jid, submitted_jid=jid, key=key, confirmed=False
        )

    def _split(self, pending: Sequence[int]) -> tuple[list[int], list[tuple[int, int]]]:
        """Split jobs into leaders and followers. Emit `observed` for would-be duplicates.

        The first job of each key is its leader, or the last if the newest job wins. A job that is
        not unique is a leader, too. With `enforce=False` all jobs are.

        Args:
            pending: the indices of the jobs.

        Returns:
            The leaders, and pairs of a follower and its leader.
        """
        leader_of: dict[str, int] = {}
        for i in pending:
            request = self._requests.get(i)
            if request is not None and (request.is_replaceable or request.key not in leader_of):
                leader_of[request.key] = i
        leaders: list[int] = []
        followers: list[tuple[int, int]] = []
        for i in pending:
            request = self._requests.get(i)
            leader = i if request is None else leader_of[request.key]
            if request is None or leader == i:
                leaders.append(i)
            elif request.policy.enforce:
                followers.append((i, leader))
            else:
                detail = f"{self._jobs[leader]['jid']} has the lock"
                request.go_unlocked(self._context.hooks, PushStatus.OBSERVED, detail)
                leaders.append(i)
        return leaders, followers

    def _follow(self, i: int, leader: int) -> bool:
        """Set a follower's result by its leader's. Return False if it must be pushed instead."""
        result = self._result(leader)
        if result.status is PushStatus.REFUSED:
            return False
        request, jid = self._requests[i], self._requests[i].submitted_jid
        if result.status in _ON_SERVER:
            detail = f"{result.jid or 'another job'} has the lock"
            request.emit(self._context.hooks, EventName.DUPLICATE, detail)
            self._results[i] = duplicate_result(
                request, result.jid, confirmed=result.confirmed, retry_after=result.retry_after
            )
        else:
            self._results[i] = result._replace(jid=jid, submitted_jid=jid)
        return True

    def _push(self, leaders: Sequence[int]) -> bool:
        """Push these jobs, a chunk at a time. Return whether more may be sent.

        While Faktory has one chunk, the locks of the previous chunk are finalized, and those of the
        next chunk are acquired.
        """
        previous: ChunkPush | None = None
        self._open_chunks = []
        try:
            for start in range(0, len(leaders), CHUNK_SIZE):
                chunk = self._chunk(leaders[start : start + CHUNK_SIZE])
                self._open_chunks.append(chunk)
                chunk.acquire()
                if previous is not None:
                    if not previous.receive():
                        return False
                    if previous.must_finalize_first:
                        previous.finalize()
                chunk.send()
                if previous is not None:
                    previous.finalize()
                    self._open_chunks.remove(previous)
                previous = chunk
            return previous is None or previous.receive()
        finally:
            _end(self._open_chunks)

    def _chunk(self, places: Sequence[int]) -> ChunkPush:
        jobs = {i: self._jobs[i] for i in places}
        requests = {i: self._requests[i] for i in places if i in self._requests}
        return ChunkPush(self._context, jobs, requests, self._results, self._call_next)


def _end(chunks: Sequence[ChunkPush]) -> None:
    """End all chunks, the last chunk first, even if the end of one raises."""
    if chunks:
        try:
            chunks[-1].end()
        finally:
            _end(chunks[:-1])
