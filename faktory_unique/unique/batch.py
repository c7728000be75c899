"""One push of a batch: which of its jobs go out, in which chunks, and who follows whom.

The order is what makes it safe. Everything is validated before any lock is taken; locks are taken
a chunk at a time, while the chunk before is with Faktory, and leased anew where they had to wait
for long; and what Faktory answered for a job decides whether its lock is confirmed, given back, or
left to its lease.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faktory_unique.errors import InvalidJob, StoreError
from faktory_unique.events import EventName
from faktory_unique.results import PushResult, PushStatus

from .chunk import ChunkPush

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faktory_unique.middleware import Payload

    from .context import UniqueContext
    from .lock_request import LockRequest

# Jobs of one PUSHB, and locks taken before it: small enough that of a list of a thousand most is
# done while Faktory has another chunk, large enough that a command's own cost is lost in it. Far
# from the 1,000 that Faktory recommends at the most, and from filling a lease.
CHUNK = 200

_THERE = {
    *(PushStatus.PUSHED, PushStatus.UNGUARDED, PushStatus.OBSERVED),
    PushStatus.DUPLICATE,
}


class BatchPush:
    """One call of `Unique.push`.

    Args:
        context: those of `Unique`.
        jobs: the payloads, in order.
        requests: the claims of those that are unique, by their place in `jobs`.
        call_next: pushes payloads onwards and answers with a result for each.
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
        self._open: list[ChunkPush] = []

    def run(self) -> list[PushResult]:
        """Pushes what is not there yet; a result for each job, in order.

        Equal jobs of the batch follow the first of them: duplicates when it is pushed, and one of
        them goes in its stead when it is refused. After an unknown outcome nothing more is sent.

        Raises:
            StoreError: a lock could not be taken; `results` tells what was pushed before.
            InvalidJob: a middleware within has refused some, likewise.
        """
        pending: Sequence[int] = range(len(self._jobs))
        followers: Sequence[tuple[int, int]] = ()
        try:
            while pending:
                leaders, followers = self._split(pending)
                going_on = self._send(leaders)
                refused = [i for i, leader in followers if not self._follow(i, leader)]
                pending = refused if going_on else ()
        except (StoreError, InvalidJob) as exc:
            for i, leader in followers:
                self._follow(i, leader)
            exc.results = tuple(self._told())
            raise
        finally:
            # Once more: an interrupt can come just where a chunk was about to be ended, and a Job
            # that is taken to be going on for ever could not be pushed again.
            for chunk in self._open:
                chunk.close()
        return self._told()

    def _told(self) -> list[PushResult]:
        """A result for each job, in order."""
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
        """The first job of each key (and all that are not unique), and who follows whom.

        Where the newest wins, the last of a key leads; and where duplicates are only observed, all
        go out.
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
                request.status_if_pushed = PushStatus.OBSERVED
                request.reason = f"{self._jobs[leader]['jid']} has it"
                request.tell(self._context.hooks, EventName.OBSERVED, request.reason)
                leaders.append(i)
        return leaders, followers

    def _follow(self, i: int, leader: int) -> bool:
        """Settles a follower by what its leader came to; False when it is its turn to lead."""
        led = self._result(leader)
        if led.status is PushStatus.REFUSED:
            return False
        request, jid = self._requests[i], self._requests[i].submitted_jid
        if led.status in _THERE:
            told = f"{led.jid or 'another'} has it"
            request.tell(self._context.hooks, EventName.DUPLICATE, told)
            self._results[i] = request.duplicate(
                led.jid, confirmed=led.confirmed, retry_after=led.retry_after
            )
        else:
            self._results[i] = led._replace(jid=jid, submitted_jid=jid)
        return True

    def _send(self, leaders: Sequence[int]) -> bool:
        """Pushes these jobs, a chunk at a time. False: nothing more is to be sent.

        While Faktory has one chunk, the locks of the chunk before are settled, and those of the
        next are taken.
        """
        before: ChunkPush | None = None
        self._open = []
        try:
            for start in range(0, len(leaders), CHUNK):
                chunk = self._chunk(leaders[start : start + CHUNK])
                self._open.append(chunk)
                chunk.take()
                if before is not None:
                    if not before.hear():
                        return False
                    if before.must_settle_first:
                        before.settle()
                chunk.send()
                if before is not None:
                    before.settle()
                    self._open.remove(before)
                before = chunk
            return before is None or before.hear()
        finally:
            _end(self._open)

    def _chunk(self, places: Sequence[int]) -> ChunkPush:
        jobs = {i: self._jobs[i] for i in places}
        requests = {i: self._requests[i] for i in places if i in self._requests}
        return ChunkPush(self._context, jobs, requests, self._results, self._call_next)


def _end(chunks: Sequence[ChunkPush]) -> None:
    """Ends them all, the last one first, whatever an end may raise."""
    if chunks:
        try:
            chunks[-1].end()
        finally:
            _end(chunks[:-1])
