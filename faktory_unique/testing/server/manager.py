"""What the fake does with jobs: the rules of Faktory's manager/, on sets and lists in memory.

File and line are Faktory 1.10.0's. Nothing here waits, and nobody but the caller locks. What looks
odd is so on purpose: the server's traps are what its clients have to live with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faktory_unique.testing.go.errors import GoError
from faktory_unique.testing.go.quote import quote
from faktory_unique.testing.go.time import format_time, parse_time

from .errors import CommandError
from .queues import Queues
from .schemas import JOB, RESERVATION, decoded, encoded
from .sorted_set import SortedSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECOND = 1_000_000_000

DEFAULT_RETRY = 25  # client/job.go:13
_DEFAULT_RESERVATION, _SHORTEST_RESERVATION, _LONGEST_RESERVATION = 1_800, 60, 86_400
DEAD_TTL = 180 * 86_400 * SECOND  # manager/manager.go:23

# What Go trims; Python's strip takes four control characters more.
_GO_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

_EXPIRED = {
    "errtype": "ReservationExpired",
    "message": "Faktory job reservation expired",
    "backtrace": None,
}


@dataclass(frozen=True, slots=True)
class Reservation:
    """A fetched job in the working map.

    Attributes:
        job: as it was fetched.
        expiry: nanoseconds since the epoch.
        wid: the worker's id; empty for a producer's connection.
    """

    job: dict[str, Any]
    expiry: int
    wid: str


class Manager:
    """Queues, timed sets, reservations, and what moves jobs between them.

    Args:
        now: nanoseconds since the epoch; no two calls may answer alike.
        randrange: a random whole number below its argument.
    """

    def __init__(self, now: Callable[[], int], randrange: Callable[[int], int]) -> None:
        self.now = now
        self._randrange = randrange
        self.queues = Queues()
        self.reset()

    def reset(self) -> None:
        """As it was when it was made."""
        self.queues.clear()
        self.scheduled = SortedSet()
        self.retries = SortedSet()
        self.dead = SortedSet()
        self.working = SortedSet()
        # Beside the working set the server keeps its reservations in memory, by jid alone
        # (manager/manager.go:176): a second copy of a jid takes the first one's place.
        self.reservations: dict[str, Reservation] = {}
        # PUSH decodes into the global default (server/commands.go:215), so that a later job that
        # says nothing of retry gets the one that was pushed last.
        self.default_retry = DEFAULT_RETRY
        self.processed = 0
        self.failures = 0

    def push(self, job: dict[str, Any]) -> None:
        """Enqueues or schedules a job (manager/manager.go:193-258).

        Raises:
            CommandError: as the server words it.
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
            except GoError as exc:
                raise CommandError(
                    f"invalid timestamp for 'at': {quote(job['at'])}: {exc}"
                ) from exc
            if at > self.now():
                self.scheduled.add(at, encoded(job, JOB))  # the queue's name is not looked at
                return
        self._enqueue(job)

    def _enqueue(self, job: dict[str, Any]) -> None:
        job["enqueued_at"] = format_time(self.now())
        try:
            self.queues.add(job["queue"], encoded(job, JOB))
        except GoError as exc:
            raise CommandError(f"cannot get {quote(job['queue'])} queue: {exc}") from exc

    def fetch(self, wid: str, queues: Sequence[str]) -> str | None:
        """Reserves the oldest job of the first queue that has one; its payload."""
        payload = self.queues.pop(queues)
        return None if payload is None else self.reserve(wid, payload)

    def reserve(self, wid: str, payload: str) -> str:
        """Reserves a job that was taken from its queue (manager/working.go:111-155)."""
        job = decoded(payload, JOB)
        asked = job["reserve_for"] or _DEFAULT_RESERVATION
        seconds = min(max(asked, _SHORTEST_RESERVATION), _LONGEST_RESERVATION)
        now = self.now()
        reservation = Reservation(job, now + seconds * SECOND, wid)
        told = {
            "job": job,
            "reserved_at": format_time(now),
            "expires_at": format_time(reservation.expiry),
            "wid": wid,
        }
        self.working.add(reservation.expiry, encoded(told, RESERVATION))
        self.reservations[job["jid"]] = reservation
        return encoded(job, JOB)

    def acknowledge(self, jid: str) -> None:
        """Ends a job; one that nobody has reserved is none of an error (manager/working.go:157)."""
        reservation = self.reservations.pop(jid, None)
        if reservation is None:
            return
        self.working.remove_at(reservation.expiry, jid)
        self.processed += 1

    def fail(self, failure: dict[str, Any]) -> None:
        """Retries a job, lays it to rest or drops it (manager/retry.go:22-168).

        Raises:
            CommandError: the jid is missing, or nobody has reserved it.
        """
        if not failure["jid"]:
            raise CommandError("missing JID")
        self._process_failure(
            failure["jid"],
            {
                "errtype": _cut(failure["errtype"], 100),
                "message": _cut(failure["message"], 1_000),
                "backtrace": (failure["backtrace"] or [])[:50],
            },
        )

    def _process_failure(self, jid: str, failure: dict[str, Any]) -> None:
        reservation = self.reservations.pop(jid, None)
        if reservation is None:
            raise CommandError(f"Job not found {jid}")
        if failure is not _EXPIRED and not self.working.remove_at(reservation.expiry, jid):
            return  # after FLUSH, or while the reaper has it: +OK, and the job is gone
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
            self.dead.add(self.now() + DEAD_TTL, encoded(job, JOB))

    def _retry_later(self, job: dict[str, Any]) -> None:
        count = job["failure"]["retry_count"]
        seconds = count**4 + 15 + self._randrange(30) * (count + 1)  # manager/retry.go:164-168
        when = self.now() + _int64(_int64(seconds) * SECOND)
        job["failure"]["next_at"] = format_time(when)
        self.retries.add(when, encoded(job, JOB))

    def enqueue_due(self, timed: SortedSet) -> int:
        """Enqueues what is due of scheduled or retries; how many (manager/scheduler.go:34-58).

        A job that cannot be, by a bad name of its queue, has left the set by then: it is lost.
        """
        return _use_all_due(timed, self.now(), 100, self._enqueue_payload)

    def _enqueue_payload(self, payload: str) -> None:
        self._enqueue(decoded(payload, JOB))

    def reap_expired(self) -> int:
        """Fails the jobs whose reservation is over; how many (manager/working.go:191-239).

        What leaves the working set is a reservation, and what is failed is whoever is reserved
        under that jid by now; where nobody is, the job is lost.
        """
        return _use_all_due(self.working, self.now(), 10, self._expire)

    def _expire(self, payload: str) -> None:
        self._process_failure(decoded(payload, RESERVATION)["job"]["jid"], _EXPIRED)

    def purge_dead(self) -> int:
        """Forgets at most a hundred of the dead that are past their time (scheduler.go:13-26)."""
        return self.dead.use_due(self.now(), 100, lambda _payload: None)

    def flush(self) -> None:
        """FLUSHDB: what is stored is gone; what the server has in its own memory stays."""
        self.queues.flush()
        for timed in (self.scheduled, self.retries, self.dead, self.working):
            timed.clear()
        self.processed = self.failures = 0


def _use_all_due(timed: SortedSet, now: int, most: int, use: Callable[[str], None]) -> int:
    """Uses what is due, a batch after the other while batches are full; how many."""
    total = 0
    while True:
        used = timed.use_due(now, most, use)
        total += used
        if used != most:
            return total


def _cut(text: str, most: int) -> str:
    """A failure's text as the server keeps it: trimmed, cut in bytes, never empty."""
    kept = text.strip(_GO_SPACES).encode()[:most].decode(errors="surrogateescape")
    return kept or "unknown"


def _int64(number: int) -> int:
    """What is left of a number where Go's arithmetic overflows."""
    return (number + 2**63) % 2**64 - 2**63
