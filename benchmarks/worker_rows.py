"""Rows of workers: how many jobs that do nothing a worker runs per second."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self, TypeAlias

from faktory_unique import Client, Job, Policy, Producer, Unique

from .measurement import Row
from .worker_processes import logs, workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.servers import FaktoryServer

    from .redis_setup import RedisSetup

SIDES = "unique", "plain", "stock"
# Jobs of a round; the seconds are scaled to OPERATIONS. Stock pyfaktory runs fewer than a hundred a
# second.
JOBS = {"unique": 2_000, "plain": 2_000, "stock": 150}
OPERATIONS = 1_000
MANY_ROUNDS, FEW_ROUNDS = 20, 10  # at most: each takes seconds
WARM_UP = 0.2  # the share of the jobs that is done before the clock starts
MAX_TRIES = 5
POLL_SECONDS = 0.02  # between two INFO commands, which cost the server time, too
TIMEOUT = 60  # seconds for a round

Side: TypeAlias = "Callable[[int], float]"


class WorkerRows:
    """Rows with a worker of each side; all are idle except the one that is measured.

    Args:
        folder: for the workers' logs.
        setup: the Redis of the locks.
        faktory: the server of the jobs; it is flushed before each round.
    """

    def __init__(self, folder: Path, setup: RedisSetup, faktory: FaktoryServer) -> None:
        self._folder = folder
        self._setup = setup
        self._faktory = faktory
        self._stack = ExitStack()
        self._stack.enter_context(workers(folder, SIDES, faktory.url, setup.url))
        self._client = self._stack.enter_context(Client(faktory.url))
        unique = self._stack.enter_context(Unique(setup.url, default=Policy()))
        self._plain, self._unique = Producer(self._client), Producer(self._client, [unique])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def rows(self) -> list[Row]:
        """Return all rows, in the order of the table."""
        unique, plain, stock = (self._side(side) for side in SIDES)
        return [
            self._row("jobs worked with Unique vs without", 0.95, unique, plain, MANY_ROUNDS),
            self._row(
                "jobs worked by our Consumer vs stock pyfaktory's", 1, plain, stock, FEW_ROUNDS
            ),
        ]

    def _row(self, name: str, target: float, ours: Side, theirs: Side, rounds: int) -> Row:
        before, after = self._clear, self._check_no_lock
        return Row(name, target, OPERATIONS, ours, theirs, before, after, rounds)

    def _side(self, side: str) -> Side:
        producer = self._unique if side == "unique" else self._plain
        jobs = JOBS[side]

        def work(count: int) -> float:
            for _ in range(MAX_TRIES):
                before = self._processed()
                producer.push_bulk([_job(side, n) for n in range(jobs)])
                since, first = self._await(side, before + round(WARM_UP * jobs))
                until, last = self._await(side, before + jobs)
                if last > first:  # else this process had no turn while all jobs were done
                    return (until - since) * count / (last - first)
            raise RuntimeError(f"{jobs} jobs are too few: all were done at the first poll")

        return work

    def _await(self, side: str, count: int) -> tuple[float, int]:
        """Wait until at least `count` jobs are done; return the time and their number."""
        deadline = time.monotonic() + TIMEOUT
        while (done := self._processed()) < count:
            if time.monotonic() > deadline:
                log = logs(self._folder, [side])
                raise RuntimeError(f"only {done} of {count} jobs are done after {TIMEOUT} s\n{log}")
            time.sleep(POLL_SECONDS)
        return time.perf_counter(), done

    def _processed(self) -> int:
        """Return the server's count of jobs that are done, which includes failures."""
        state = self._client.info()["faktory"]
        if state["total_failures"]:
            raise RuntimeError(f"{state['total_failures']} jobs have failed")
        done: int = state["total_processed"]
        return done

    def _clear(self, _count: int) -> None:
        self._setup.clear(0)
        self._faktory.ask("FLUSH")

    def _check_no_lock(self, _count: int) -> None:
        time.sleep(0.05)  # the last job counts as done before its lock is released
        self._setup.check_empty(0)


def _job(side: str, n: int) -> Job:
    return Job(jid=uuid.uuid4().hex, jobtype="nothing", args=[n], queue=side)
