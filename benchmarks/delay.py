"""How long a lock outlives its job: from the handler's return until the key is gone.

Each side has an idle worker of its own, which waits in FETCH when the handler returns: see
worker.py. Rounds of both are interleaved.
"""

from __future__ import annotations

import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Literal, NamedTuple

import redis

from faktory_unique import Client, Job, Policy, Producer, Unique

from .workers import logs, workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "handler's return → lock gone vs stock pyfaktory, DEL after ACK"
TARGET_MS = 10
NAP = 0.3  # seconds of a job: by then the worker is in its next FETCH
LEASE = 60
PATIENCE = 15  # seconds for a round
SIDES = "unique", "releasing"


class Rounds(NamedTuple):
    """How many are counted: two or more of theirs, each of 2 s, which is what FETCH blocks."""

    theirs: int
    ours_for_each: int

    @property
    def all(self) -> int:
        """Those of both sides, the warm-up among them."""
        return 2 + self.theirs * (1 + self.ours_for_each)


class Delay(NamedTuple):
    """What came out, as it is written to the results.

    Attributes:
        name: what was measured, "what vs theirs".
        ratio: theirs_ms / ours_ms.
        target_ms: what ours_ms is to be at most.
        verdict: "short" where it is more.
        ours_ms: the median.
        ours_p95_ms: the 95th percentile.
        theirs_ms: likewise.
        theirs_p95_ms: likewise.
        ours_rounds: how many were counted.
        theirs_rounds: likewise.
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
    """Measure both sides, after a round of each that is not counted.

    Args:
        folder: for the workers' logs and what handlers leave.
        faktory_url: a Faktory with nothing on the queues of `SIDES`.
        redis_url: where locks live.
        rounds: how many to count.
        tick: called after each round, the warm-up among them.

    Raises:
        RuntimeError: a lock stood for too long, or was gone before the handler returned.
    """
    returned = folder / "returned"
    with (
        workers(folder, SIDES, faktory_url, redis_url),
        Client(faktory_url) as client,
        Unique(redis_url, default=Policy()) as unique,
        redis.Redis.from_url(redis_url) as locks,
    ):
        unique_producer, plain_producer = Producer(client, [unique]), Producer(client)

        def job(side: str) -> Job:
            returned.unlink(missing_ok=True)
            return Job(jobtype="nap", args=[NAP, str(returned)], queue=side)

        def until_gone(key: str) -> float:
            deadline = time.monotonic() + PATIENCE
            while locks.get(key) is not None:
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"{key} still stands after {PATIENCE} s\n{logs(folder, SIDES)}"
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
                raise RuntimeError(f"the lock of the round before still stands: {pushed}")
            return until_gone(pushed.key)

        def theirs() -> float:
            theirs_job = job("releasing")
            locks.set(theirs_job.jid, "", nx=True, ex=LEASE)
            plain_producer.push(theirs_job)
            return until_gone(theirs_job.jid)

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
