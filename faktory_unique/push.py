"""One push of a batch: which of its jobs get a lock, and what their locks come to.

The order is what makes it safe. Everything is validated before any lock is taken; locks are taken
a chunk at a time, so that none has to outlive its lease while others are being sent; and what
Faktory answered for a job decides whether its lock is confirmed, given back, or left to its lease.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from . import lifecycle
from .chain import Payload, PushResult, PushStatus, one_each
from .errors import InvalidJob, StoreError
from .stamp import without_stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .claims import Claim, OpenPushes
    from .lifecycle import Change
    from .store import Store

log = logging.getLogger("faktory_unique")

# Locks taken before a PUSHB: the size that Faktory recommends, and far from filling a lease.
CHUNK = 1_000


class BatchPush:
    """One call of `Unique.push`.

    Args:
        store: where the locks are.
        open_pushes: the jids that must not be sent again.
        jobs: the payloads, in order.
        claims: the claims of those that are unique, by their place in `jobs`.
        call_next: pushes payloads onwards and answers with a result for each.
    """

    def __init__(
        self,
        store: Store,
        open_pushes: OpenPushes,
        jobs: Sequence[Payload],
        claims: Mapping[int, Claim],
        call_next: Callable[[Sequence[Payload]], list[PushResult]],
    ) -> None:
        self._store = store
        self._open_pushes = open_pushes
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
        """The first job of each key (and all that are not unique), and who follows whom."""
        first: dict[str, int] = {}
        leaders: list[int] = []
        followers: list[tuple[int, int]] = []
        for i in pending:
            claim = self._claims.get(i)
            leader = i if claim is None else first.setdefault(claim.key, i)
            if leader == i:
                leaders.append(i)
            else:
                followers.append((i, leader))
        return leaders, followers

    def _follow(self, i: int, leader: int) -> bool:
        """Settles a follower by what its leader came to; False when it is its turn to lead."""
        led = self._results[leader]
        if led.status is PushStatus.REFUSED:
            return False
        claim = self._claims[i]
        if led.status in {PushStatus.PUSHED, PushStatus.DUPLICATE}:
            _log_duplicate(claim, led.jid)
            self._results[i] = replace(led, status=PushStatus.DUPLICATE, submitted_jid=claim.owner)
        else:
            self._results[i] = replace(led, jid=claim.owner, submitted_jid=claim.owner)
        return True

    def _send(self, chunk: Sequence[int]) -> bool:
        """Takes the chunk's locks, pushes what got one, settles. False: send no more."""
        claims = {i: self._claims[i] for i in chunk if i in self._claims}
        since = time.monotonic()
        try:
            going = self._take(claims)
        except StoreError as exc:
            self._change([lifecycle.give_back(c.key, c.owner) for c in claims.values() if c.took])
            exc.results = tuple(self._results)
            raise
        sending = [i for i in chunk if i not in claims or i in going]
        if not sending:
            return True
        payloads = [
            going[i].stamped() if i in going else without_stamp(self._jobs[i]) for i in sending
        ]
        answers = self._push(going, payloads)
        for i, answer in zip(sending, answers, strict=True):
            key = going[i].key if i in going else None
            self._results[i] = replace(answer, submitted_jid=self._jobs[i]["jid"], key=key)
        self._settle(going, since)
        return all(
            answer.status not in {PushStatus.UNKNOWN, PushStatus.NOT_SENT} for answer in answers
        )

    def _take(self, claims: Mapping[int, Claim]) -> dict[int, Claim]:
        """Takes the locks; the claims that got one. The others' results are written."""
        takes = [lifecycle.take(c.key, c.owner, c.policy.lease) for c in claims.values()]
        found = self._run_takes(claims, takes)
        renewing = {
            i: claims[i] for i, value in found.items() if value == lifecycle.leased(claims[i].owner)
        }
        if renewing:
            renewals = [lifecycle.renew(c.key, c.owner, c.policy.lease) for c in renewing.values()]
            found |= self._run_takes(renewing, renewals)
        going = {}
        for i, value in found.items():
            claim = claims[i]
            if value is None or value == lifecycle.leased(claim.owner):
                going[i] = claim
                if i in renewing or claim.owner in self._open_pushes:
                    claim.jid = uuid.uuid4().hex
            else:
                self._results[i] = self._duplicate(claim, value)
        return going

    def _run_takes(
        self, claims: Mapping[int, Claim], changes: Sequence[Change]
    ) -> dict[int, str | None]:
        """The value found under each claim's key; where there was none, this push has taken it."""
        try:
            found = self._store.run(changes)
        except StoreError as exc:
            for claim, change in zip(claims.values(), changes, strict=True):
                claim.took = claim.took or (change.expected == (None,) and change in exc.done)
            raise
        for claim, value in zip(claims.values(), found, strict=True):
            claim.took = value is None
        return dict(zip(claims, found, strict=True))

    def _duplicate(self, claim: Claim, value: str) -> PushResult:
        holder = lifecycle.owner_of(value)
        leased = lifecycle.is_leased(value)
        _log_duplicate(claim, holder)
        return PushResult(
            status=PushStatus.DUPLICATE,
            jid=holder,
            submitted_jid=claim.owner,
            key=claim.key,
            confirmed=not leased,
            retry_after=claim.policy.lease if leased else None,
        )

    def _push(self, going: Mapping[int, Claim], payloads: list[Payload]) -> list[PushResult]:
        """Calls on. `InvalidJob`, a veto, gives the locks back; after another error they stay."""
        try:
            answers = one_each(self._call_next(payloads), payloads)
        except InvalidJob:
            self._change([lifecycle.give_back(c.key, c.owner) for c in going.values() if c.took])
            raise
        except BaseException:  # raised perhaps after the send, by a Ctrl-C too
            for claim in going.values():
                self._open_pushes.add(claim.owner)
            raise
        return answers

    def _settle(self, going: Mapping[int, Claim], since: float) -> None:
        """Confirms the locks of pushed jobs, gives back those of jobs that were not."""
        pushed: dict[int, Claim] = {}
        give_backs: list[Change] = []
        for i, claim in going.items():
            status = self._results[i].status
            if status is PushStatus.PUSHED:
                pushed[i] = claim
            elif status is PushStatus.UNKNOWN:
                self._open_pushes.add(claim.owner)
                self._leave_to_lease(i, claim)
            elif claim.took:
                give_backs.append(lifecycle.give_back(claim.key, claim.owner))
        confirms = [lifecycle.confirm(c.key, c.owner, c.ttl) for c in pushed.values()]
        found = self._change([*confirms, *give_backs])
        elapsed = time.monotonic() - since
        for n, (i, claim) in enumerate(pushed.items()):
            if found is None:  # the store is away
                self._leave_to_lease(i, claim)
            elif not _stands(found[n], claim.owner, in_time=elapsed < claim.policy.lease):
                self._results[i] = replace(self._results[i], confirmed=False)
                log.warning(
                    "lock lapsed before the push was confirmed: jobtype=%s jid=%s key=%s in=%.1fs",
                    claim.job["jobtype"],
                    claim.jid,
                    claim.key,
                    elapsed,
                )

    def _leave_to_lease(self, i: int, claim: Claim) -> None:
        lease = claim.policy.lease
        self._results[i] = replace(self._results[i], confirmed=False, retry_after=lease)

    def _change(self, changes: Sequence[Change]) -> list[str | None] | None:
        """Makes changes that follow what is already done; None, and a warning, where that failed.

        The push has happened, or has been refused: no failure of the store may hide that.
        """
        if not changes:
            return []
        try:
            return self._store.run(changes)
        except StoreError as exc:
            log.warning("%d locks are left to their lease: %s", len(changes), exc)
            return None


def _log_duplicate(claim: Claim, holder: str) -> None:
    log.info(
        "duplicate not pushed: jobtype=%s jid=%s holder=%s key=%s",
        claim.job["jobtype"],
        claim.owner,
        holder,
        claim.key,
    )


def _stands(found: str | None, owner: str, *, in_time: bool) -> bool:
    """Whether a lock is as confirm should leave it: held, or freed by a worker that was faster."""
    return found in {lifecycle.leased(owner), lifecycle.held(owner)} or (found is None and in_time)
