"""One push of a batch: which of its jobs go out, in which chunks, and who follows whom.

The order is what makes it safe. Everything is validated before any lock is taken; locks are taken
a chunk at a time, so that none has to outlive its lease while others are being sent; and what
Faktory answered for a job decides whether its lock is confirmed, given back, or left to its lease.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .chain import Payload, PushResult, PushStatus, one_each
from .chunk import ChunkLocks
from .errors import InvalidJob, StoreError
from .events import EventName
from .stamp import without_stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .claims import Claim
    from .parts import Parts

# Locks taken before a PUSHB: the size that Faktory recommends, and far from filling a lease.
CHUNK = 1_000

_THERE = {
    *(PushStatus.PUSHED, PushStatus.UNGUARDED, PushStatus.OBSERVED),
    PushStatus.DUPLICATE,
}
_OPEN = {PushStatus.UNKNOWN, PushStatus.NOT_SENT}


class BatchPush:
    """One call of `Unique.push`.

    Args:
        parts: those of `Unique`.
        jobs: the payloads, in order.
        claims: the claims of those that are unique, by their place in `jobs`.
        call_next: pushes payloads onwards and answers with a result for each.
    """

    def __init__(
        self,
        parts: Parts,
        jobs: Sequence[Payload],
        claims: Mapping[int, Claim],
        call_next: Callable[[Sequence[Payload]], list[PushResult]],
    ) -> None:
        self._parts = parts
        self._jobs = jobs
        self._claims = claims
        self._call_next = call_next
        self._results = [self._not_sent(i) for i in range(len(jobs))]

    def run(self) -> list[PushResult]:
        """Pushes what is not there yet; a result for each job, in order.

        Equal jobs of the batch follow the first of them: duplicates when it is pushed, and one of
        them goes in its stead when it is refused. After an unknown outcome nothing more is sent.

        Raises:
            StoreError: a lock could not be taken; `results` tells what was pushed before.
        """
        pending: Sequence[int] = range(len(self._jobs))
        while pending:
            leaders, followers = self._split(pending)
            chunks = (leaders[start : start + CHUNK] for start in range(0, len(leaders), CHUNK))
            going_on = all(self._send(chunk) for chunk in chunks)
            refused = [i for i, leader in followers if not self._follow(i, leader)]
            pending = refused if going_on else ()
        return self._results

    def _not_sent(self, i: int) -> PushResult:
        jid = self._jobs[i]["jid"]
        key = self._claims[i].key if i in self._claims else None
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
            claim = self._claims.get(i)
            if claim is not None and (claim.is_replaceable or claim.key not in leader_of):
                leader_of[claim.key] = i
        leaders: list[int] = []
        followers: list[tuple[int, int]] = []
        for i in pending:
            claim = self._claims.get(i)
            leader = i if claim is None else leader_of[claim.key]
            if claim is None or leader == i:
                leaders.append(i)
            elif claim.policy.enforce:
                followers.append((i, leader))
            else:
                claim.pushed_as = PushStatus.OBSERVED
                claim.why = f"{self._jobs[leader]['jid']} has it"
                self._parts.hooks.tell(claim.event(EventName.OBSERVED, claim.why))
                leaders.append(i)
        return leaders, followers

    def _follow(self, i: int, leader: int) -> bool:
        """Settles a follower by what its leader came to; False when it is its turn to lead."""
        led = self._results[leader]
        if led.status is PushStatus.REFUSED:
            return False
        claim, jid = self._claims[i], self._claims[i].submitted_jid
        if led.status in _THERE:
            self._parts.hooks.tell(
                claim.event(EventName.DUPLICATE, f"{led.jid or 'another'} has it")
            )
            self._results[i] = claim.duplicate(
                led.jid, confirmed=led.confirmed, retry_after=led.retry_after
            )
        else:
            self._results[i] = replace(led, jid=jid, submitted_jid=jid)
        return True

    def _send(self, chunk: Sequence[int]) -> bool:
        """Takes the chunk's locks, pushes what got one, settles. False: send no more."""
        claims = {i: self._claims[i] for i in chunk if i in self._claims}
        locks = ChunkLocks(self._parts, claims)
        try:
            going = self._take(locks)
            sending = [i for i in chunk if i not in claims or i in going]
            if not sending:
                return True
            for i, answer in zip(sending, self._push(locks, going, sending), strict=True):
                key = going[i].key if i in going else None
                self._results[i] = replace(answer, submitted_jid=self._jobs[i]["jid"], key=key)
            for i, told in locks.settle(self._results).items():
                self._results[i] = told
        finally:
            locks.close()
        return all(self._results[i].status not in _OPEN for i in sending)

    def _take(self, locks: ChunkLocks) -> Mapping[int, Claim]:
        """The claims whose jobs are to be pushed; the results of the others are written."""
        try:
            duplicates = locks.take()
        except StoreError as exc:
            exc.results = tuple(self._results)
            raise
        for i, duplicate in duplicates.items():
            self._results[i] = duplicate
        return locks.going

    def _push(
        self, locks: ChunkLocks, going: Mapping[int, Claim], sending: Sequence[int]
    ) -> list[PushResult]:
        """Calls on. `InvalidJob`, a veto, gives the locks back; after another error they stay."""
        payloads = [
            going[i].stamped() if i in going else without_stamp(self._jobs[i]) for i in sending
        ]
        try:
            return one_each(self._call_next(payloads), payloads)
        except InvalidJob:
            locks.give_back()
            raise
        except BaseException:  # raised perhaps after the send, by a Ctrl-C too
            locks.leave()
            raise
