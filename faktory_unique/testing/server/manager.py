"""`Manager`: the life of a job on the fake: push, reserve, acknowledge, fail, retry, dead, expiry.

These are the rules of Faktory's manager/ on sets and lists in memory. File and line are those of
Faktory 1.10.0. Nothing here waits, and the caller holds the mutex of `Core`. Odd behaviour is
intended: the server has it, and clients have to handle it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import CommandError, ParseError
from .failures import EXPIRED, reported_failure
from .go_json import decode, encode, quote
from .go_time import SECOND, format_time, parse_time
from .queues import Queues
from .schemas import JOB, RESERVATION
from .sorted_set import SortedSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT_RETRY = 25  # client/job.go:13
_DEFAULT_RESERVATION, _SHORTEST_RESERVATION, _LONGEST_RESERVATION = 1_800, 60, 86_400
DEAD_TTL = 180 * 86_400 * SECOND  # manager/manager.go:23


@dataclass(frozen=True, slots=True)
class Reservation:
    """A fetched job in the working map.

    Attributes:
        job: the job as it was fetched.
        expiry: nanoseconds since the epoch.
        wid: the worker's id; empty for a producer's connection.
    """

    job: dict[str, Any]
    expiry: int
    wid: str


class Manager:
    """Queues, timed sets, reservations, and the moves of jobs between them.

    Args:
        now: returns nanoseconds since the epoch, later at each call.
        randrange: returns a random whole number below its argument.
    """

    def __init__(self, now: Callable[[], int], randrange: Callable[[int], int]) -> None:
        self.now = now
        self._randrange = randrange
        self.queues = Queues()
        self.reset()

    def reset(self) -> None:
        """Delete all jobs, queues and counts."""
        self.queues.clear()
        self.scheduled = SortedSet()
        self.retries = SortedSet()
        self.dead = SortedSet()
        self.working = SortedSet()
        # Beside the working set the server keeps its reservations in memory, by jid alone
        # (manager/manager.go:176): a second copy of a jid replaces the first.
        self.reservations: dict[str, Reservation] = {}
        # PUSH decodes into the global default (server/commands.go:215), so a later job without
        # `retry` gets the value that was pushed last.
        self.default_retry = DEFAULT_RETRY
        self.processed = 0
        self.failures = 0

    def share_retry(self, job: dict[str, Any]) -> None:
        """Give the job the default number of retries. If it has its own, make that the default."""
        if job["retry"] is None:
            job["retry"] = self.default_retry
        self.default_retry = job["retry"]

    def push(self, job: dict[str, Any]) -> None:
        """Enqueue or schedule a job (manager/manager.go:193-258).

        Raises:
            CommandError: the server refuses the job.
        """
        if len(job["jid"].encode()) < 8:  # noqa: PLR2004  # manager/manager.go:194
            raise CommandError("jobs must have a reasonable jid parameter")
        if not job["jobtype"]:
            raise CommandError("jobs must have a jobtype parameter")
        if job["args"] is None:
            raise CommandError("jobs must have an args parameter")
        if job["reserve_for"] > _LONGEST_RESERVATION:
            raise CommandError("jobs cannot be reserved for more than one day")
        job["created_at"] = job["created_at"] or format_time(self.now())
        job["queue"] = job["queue"] or "default"
        if job["at"]:
            try:
                at = parse_time(job["at"])
            except ParseError as exc:
                raise CommandError(
                    f"invalid timestamp for 'at': {quote(job['at'])}: {exc}"
                ) from exc
            if at > self.now():
                self.scheduled.add(at, encode(job, JOB))  # the queue's name is not checked
                return
        self._enqueue(job)

    def _enqueue(self, job: dict[str, Any]) -> None:
        job["enqueued_at"] = format_time(self.now())
        try:
            self.queues.add(job["queue"], encode(job, JOB))
        except CommandError as exc:
            raise CommandError(f"cannot get {quote(job['queue'])} queue: {exc}") from exc

    def fetch(self, wid: str, queues: Sequence[str]) -> str | None:
        """Reserve the oldest job of the first queue that has one. Return its payload; else None."""
        payload = self.queues.pop(queues)
        return None if payload is None else self.reserve(wid, payload)

    def fetch_jid(self, wid: str, names: Sequence[str], jid: str) -> str | None:
        """Reserve a job by its jid. Return its payload; None if it waits in none of the queues."""
        mark = f'"jid":{encode(jid)}'

        def matches(payload: str) -> bool:
            # Decoded, since args may contain the mark; not all, since there may be thousands.
            return mark in payload and decode(payload.encode(), JOB)["jid"] == jid

        payload = self.queues.pop_matching(self.queues.active(names), matches)
        return None if payload is None else self.reserve(wid, payload)

    def reserve(self, wid: str, payload: str) -> str:
        """Reserve a job that left its queue (manager/working.go:111-155). Return its payload."""
        job = decode(payload.encode(), JOB)
        seconds = job["reserve_for"] or _DEFAULT_RESERVATION
        seconds = min(max(seconds, _SHORTEST_RESERVATION), _LONGEST_RESERVATION)
        now = self.now()
        reservation = Reservation(job, now + seconds * SECOND, wid)
        entry = {
            "job": job,
            "reserved_at": format_time(now),
            "expires_at": format_time(reservation.expiry),
            "wid": wid,
        }
        self.working.add(reservation.expiry, encode(entry, RESERVATION))
        self.reservations[job["jid"]] = reservation
        return encode(job, JOB)

    def acknowledge(self, jid: str) -> None:
        """End a job. If it is not reserved, that is no error (manager/working.go:157)."""
        reservation = self.reservations.pop(jid, None)
        if reservation is None:
            return
        self.working.remove_at(reservation.expiry, jid)
        self.processed += 1

    def fail(self, failure: dict[str, Any]) -> None:
        """Retry a job later, move it to the dead set, or drop it (manager/retry.go:22-168).

        Raises:
            CommandError: the jid is missing, or the job is not reserved.
        """
        if not failure["jid"]:
            raise CommandError("missing JID")
        self._process_failure(failure["jid"], reported_failure(failure))

    def _process_failure(self, jid: str, failure: dict[str, Any]) -> None:
        reservation = self.reservations.pop(jid, None)
        if reservation is None:
            raise CommandError(f"Job not found {jid}")
        if failure is not EXPIRED and not self.working.remove_at(reservation.expiry, jid):
            return  # after FLUSH, or while the job is being reaped: +OK, and the job is gone
        self.processed += 1
        self.failures += 1
        job = reservation.job
        if job["retry"] is None:
            job["retry"] = self.default_retry
        if job["failure"] is None:
            job["failure"] = {
                "failed_at": format_time(self.now()),
                "next_at": "",
                "retry_count": 0,
                "remaining": job["retry"],
            }
        else:
            job["failure"]["retry_count"] = _int64(job["failure"]["retry_count"] + 1)
            if job["failure"]["remaining"] > 0:
                job["failure"]["remaining"] -= 1
        job["failure"] |= failure
        if job["retry"] == 0:
            return
        if job["failure"]["retry_count"] < job["retry"]:
            self._retry_later(job)
        else:
            self.dead.add(self.now() + DEAD_TTL, encode(job, JOB))

    def _retry_later(self, job: dict[str, Any]) -> None:
        count = job["failure"]["retry_count"]
        seconds = count**4 + 15 + self._randrange(30) * (count + 1)  # manager/retry.go:164-168
        when = self.now() + _int64(_int64(seconds) * SECOND)
        job["failure"]["next_at"] = format_time(when)
        self.retries.add(when, encode(job, JOB))

    def enqueue_due(self, timed: SortedSet) -> int:
        """Enqueue the due jobs of scheduled or retries (manager/scheduler.go:34-58).

        A job with a bad queue name is removed from the set, but not enqueued: it is lost.

        Returns:
            The number of jobs enqueued.
        """
        return timed.process_all_due(self.now(), 100, self._enqueue_payload)

    def _enqueue_payload(self, payload: str) -> None:
        self._enqueue(decode(payload.encode(), JOB))

    def reap_expired(self) -> int:
        """Fail the jobs with an expired reservation (manager/working.go:191-239).

        A reservation is removed from the working set. Then the job that is reserved under its jid
        by now fails. If there is none, the job is lost.

        Returns:
            The number of jobs failed.
        """
        return self.working.process_all_due(self.now(), 10, self._expire)

    def _expire(self, payload: str) -> None:
        self._process_failure(decode(payload.encode(), RESERVATION)["job"]["jid"], EXPIRED)

    def purge_dead(self) -> int:
        """Delete at most a hundred dead jobs whose time is over (scheduler.go:13-26)."""
        return self.dead.process_due(self.now(), 100, lambda _payload: None)

    def flush(self) -> None:
        """Delete everything that is stored (FLUSHDB). The server's own memory stays as it is."""
        self.queues.flush()
        for timed in (self.scheduled, self.retries, self.dead, self.working):
            timed.clear()
        self.processed = self.failures = 0


def _int64(number: int) -> int:
    """Return the number that Go's arithmetic has after an overflow."""
    return (number + 2**63) % 2**64 - 2**63
