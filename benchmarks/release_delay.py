"""Release delay: the time from a handler's return until the job's lock is gone.

Each side has its own idle worker, which waits in FETCH when the handler returns: see worker.py. The
rounds of both sides are interleaved.
"""

from __future__ import annotations

import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Literal, NamedTuple

import redis

from faktory_unique import Client, Job, Policy, Producer, Unique

from .worker_processes import logs, workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "handler's return → lock gone vs stock pyfaktory, DEL after ACK"
TARGET_MS = 10
NAP = 0.3  # seconds that a job takes; by then the worker waits in its next FETCH
LEASE = 60
TIMEOUT = 15  # seconds for a round
SIDES = "unique", "releasing"


class Rounds(NamedTuple):
    """The counted rounds: two or more of theirs, 2 s each, since an empty FETCH blocks for 2 s."""

    theirs: int
    ours_for_each: int

    @property
    def total(self) -> int:
        """The rounds of both sides, with the warm-up."""
        return 2 + self.theirs * (1 + self.ours_for_each)


class Delay(NamedTuple):
    """The delays as they are written to the results.

    Attributes:
        name: "ours vs theirs".
        ratio: theirs_ms / ours_ms.
        target_ms: the most that ours_ms may be.
        verdict: "short" if ours_ms is more.
        ours_ms: our median.
        ours_p95_ms: our 95th percentile.
        theirs_ms: their median.
        theirs_p95_ms: their 95th percentile.
        ours_rounds: our counted rounds.
        theirs_rounds: their counted rounds.
    """

    name: str
    ratio: float
    target_ms: float
    verdict: Literal["ok", "short"]
    ours_ms: float
    ours_p95_ms: float
    theirs_ms: float
    theirs_p95_ms: float
    ours_rounds: int
    theirs_rounds: int


def measure_delay(
    folder: Path, faktory_url: str, redis_url: str, rounds: Rounds, tick: Callable[[], object]
) -> Delay:
    """Measure both sides, after a warm-up round of each that is not counted.

    Args:
        folder: for the workers' logs and the handlers' files.
        faktory_url: a Faktory with empty queues of `SIDES`.
        redis_url: the Redis of the locks.
        rounds: how many to count.
        tick: called after each round, the warm-up included.

    Raises:
        RuntimeError: a lock existed for too long, or was gone before the handler returned.
    """
    returned = folder / "returned"
    with (
        workers(folder, SIDES, faktory_url, redis_url),
        Client(faktory_url) as client,
        Unique(redis_url, default=Policy()) as unique,
        redis.Redis.from_url(redis_url) as redis_client,
    ):
        unique_producer, plain_producer = Producer(client, [unique]), Producer(client)

        def job(side: str) -> Job:
            returned.unlink(missing_ok=True)
            return Job(jobtype="nap", args=[NAP, str(returned)], queue=side)

        def await_delay(key: str) -> float:
            """Wait until the key is gone; return the milliseconds since the handler returned."""
            deadline = time.monotonic() + TIMEOUT
            while redis_client.get(key) is not None:
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"{key} still exists after {TIMEOUT} s\n{logs(folder, SIDES)}"
                    )
            gone = time.time()
            if not returned.exists():
                raise RuntimeError(
                    f"{key} was gone before the handler returned\n{logs(folder, SIDES)}"
                )
            tick()
            return 1000 * (gone - float(returned.read_text("ascii")))

        def ours() -> float:
            pushed = unique_producer.push(job("unique"))
            if not pushed or pushed.key is None:
                raise RuntimeError(f"the lock of the round before still exists: {pushed}")
            return await_delay(pushed.key)

        def theirs() -> float:
            plain_job = job("releasing")
            redis_client.set(plain_job.jid, "", nx=True, ex=LEASE)
            plain_producer.push(plain_job)
            return await_delay(plain_job.jid)

        theirs(), ours()
        their_ms, our_ms = [], []
        for _ in range(rounds.theirs):
            their_ms.append(theirs())
            our_ms += [ours() for _ in range(rounds.ours_for_each)]

    return Delay(
        name=NAME,
        ratio=round(median(their_ms) / median(our_ms), 1),
        target_ms=TARGET_MS,
        verdict="ok" if median(our_ms) <= TARGET_MS else "short",
        ours_ms=round(median(our_ms), 2),
        ours_p95_ms=_p95(our_ms),
        theirs_ms=round(median(their_ms), 2),
        theirs_p95_ms=_p95(their_ms),
        ours_rounds=len(our_ms),
        theirs_rounds=len(their_ms),
    )


def _p95(values: list[float]) -> float:
    return round(quantiles(values, n=20, method="inclusive")[-1], 2)
