"""How many jobs a second a worker works that have nothing to do."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self, TypeAlias

from faktory_unique import Client, Job, Policy, Producer, Unique

from .measure import Row
from .workers import logs, workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.servers import FaktoryServer

    from .ground import Ground

SIDES = "unique", "plain", "stock"
# Jobs of a round, whose seconds are told for OPERATIONS: stock pyfaktory works fewer than a hundred
# a second.
JOBS = {"unique": 2_000, "plain": 2_000, "stock": 150}
OPERATIONS = 1_000
MANY_ROUNDS, FEW_ROUNDS = 20, 10  # at the most: each takes seconds
BEGUN = 0.2  # of the jobs are done before the clock starts: the worker is in its stride by then
LOOK = 0.02  # seconds between looks at how many are done, which take the server's time, too
PATIENCE = 60  # seconds for a round

Work: TypeAlias = "Callable[[int], float]"


class Worked:
    """A worker of each side, idle but for the one whose round it is.

    Args:
        folder: for the workers' logs.
        ground: where locks live.
        faktory: where jobs are; it is flushed before each round.
    """

    def __init__(self, folder: Path, ground: Ground, faktory: FaktoryServer) -> None:
        self._folder = folder
        self._ground = ground
        self._faktory = faktory
        self._stack = ExitStack()
        self._stack.enter_context(workers(folder, SIDES, faktory.url, ground.url))
        self._client = self._stack.enter_context(Client(faktory.url))
        unique = self._stack.enter_context(Unique(ground.url, default=Policy()))
        self._plain, self._unique = Producer(self._client), Producer(self._client, [unique])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def rows(self) -> list[Row]:
        """All rows, in the order of the table."""
        unique, plain, stock = (self._working(side) for side in SIDES)
        return [
            self._row("jobs worked with Unique vs without", 0.95, unique, plain, MANY_ROUNDS),
            self._row(
                "jobs worked by our Consumer vs stock pyfaktory's", 1, plain, stock, FEW_ROUNDS
            ),
        ]

    def _row(self, name: str, target: float, ours: Work, theirs: Work, rounds: int) -> Row:
        before, after = self._fresh, self._no_lock_is_left
        return Row(name, target, OPERATIONS, ours, theirs, before, after, rounds)

    def _working(self, side: str) -> Work:
        producer = self._unique if side == "unique" else self._plain
        jobs = JOBS[side]

        def work(count: int) -> float:
            before = self._processed()
            producer.push_bulk([_job(side, n) for n in range(jobs)])
            since, first = self._await(side, before + round(BEGUN * jobs))
            until, last = self._await(side, before + jobs)
            if last == first:
                raise RuntimeError(f"{jobs} jobs are too few: all are done at the first look")
            return (until - since) * count / (last - first)

        return work

    def _await(self, side: str, count: int) -> tuple[float, int]:
        """When at least so many jobs are done, and how many they are by then."""
        deadline = time.monotonic() + PATIENCE
        while (done := self._processed()) < count:
            if time.monotonic() > deadline:
                told = logs(self._folder, [side])
                raise RuntimeError(f"no more than {done} jobs are done\n{told}")
            time.sleep(LOOK)
        return time.perf_counter(), done

    def _processed(self) -> int:
        """How many jobs are done; that is the server's count, in which failures are, too."""
        said = self._client.info()["faktory"]
        if said["total_failures"]:
            raise RuntimeError(f"{said['total_failures']} jobs have failed")
        done: int = said["total_processed"]
        return done

    def _fresh(self, _count: int) -> None:
        self._ground.free(0)
        self._faktory.ask("FLUSH")

    def _no_lock_is_left(self, _count: int) -> None:
        time.sleep(0.05)  # the last one goes when its ACK is answered, which is when it counts
        self._ground.is_free(0)


def _job(side: str, n: int) -> Job:
    return Job(jid=uuid.uuid4().hex, jobtype="nothing", args=[n], queue=side)
