"""Scaling curves: locks that one Redis grants per second, over threads and over processes."""

from __future__ import annotations

import random
from itertools import islice
from statistics import median, quantiles
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import redis

from faktory_unique.locks.lifecycle import acquire_transition
from faktory_unique.stores.redis import RedisStore

from .load_generator import LoadGenerator
from .redis_setup import BATCH, LEASE, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .load_generator import Load, Step

THREADS = 1, 2, 4, 8, 16
PROCESSES = 1, 2, 4, 8
SEED = 1

Over: TypeAlias = Literal["threads", "processes"]


class Windows(NamedTuple):
    """The time that is measured: this many seconds for each point, in each round."""

    rounds: int  # two or more
    seconds: float

    @property
    def total(self) -> int:
        """The number of windows of all points and rounds."""
        return self.rounds * sum(len(series.counts) for series in PLAN)


class Point(NamedTuple):
    """A point of a curve: medians over the rounds.

    Attributes:
        n: the number of threads or processes.
        per_s: locks acquired per second, by all together.
        spread: its quartiles, 25 % and 75 %.
        redis_busy: CPU seconds of Redis per second; at 1 its one thread is fully used.
        workers_busy: CPU seconds of all threads or processes per second. If both together come near
            the number of cores, the machine is the bound. The rest is the kernel's, for the
            loopback, and that of other programs.
    """

    n: int
    per_s: int
    spread: tuple[int, int]
    redis_busy: float
    workers_busy: float


class Curve(NamedTuple):
    """A curve as it is written to the results.

    Attributes:
        name: the operation.
        over: what grows from point to point.
        points: from the fewest to the most.
    """

    name: str
    over: Over
    points: list[Point]

    def as_dict(self) -> dict[str, object]:
        """Return the curve and its points, for JSON."""
        return {**self._asdict(), "points": [point._asdict() for point in self.points]}


def measure_curves(url: str, windows: Windows, tick: Callable[[], object]) -> list[Curve]:
    """Measure all points, each round in another random order from a fixed seed.

    Args:
        url: a Redis that nothing else uses; it is flushed before each window, and at the end.
        windows: how many, and how long.
        tick: called after each window.

    Raises:
        RuntimeError: a lock was not acquired, or a process has ended.
    """
    rng = random.Random(SEED)
    places = [(series, n) for series in PLAN for n in series.counts]
    windows_of: dict[tuple[Series, int], list[Point]] = {place: [] for place in places}
    with LoadGenerator(url, max(PROCESSES)) as generator, redis.Redis.from_url(url) as admin:
        try:
            for _ in range(windows.rounds):
                for place in rng.sample(places, len(places)):
                    points = windows_of[place]
                    points.append(_measure_point(generator, admin, *place, windows.seconds))
                    tick()
        finally:
            admin.flushdb()
    return [
        Curve(series.name, series.over, [_median(windows_of[series, n]) for n in series.counts])
        for series in PLAN
    ]


def _measure_point(
    generator: LoadGenerator, admin: redis.Redis, series: Series, n: int, seconds: float
) -> Point:
    """Measure one window of a point."""
    processes, threads = (n, 1) if series.over == "processes" else (1, n)
    generator.prepare(series.load, processes, threads)
    admin.flushdb()
    before = _cpu_seconds(admin)
    window = generator.run(processes, seconds)
    busy = (_cpu_seconds(admin) - before) / window.seconds
    if (locks := admin.dbsize()) != window.operations:
        raise RuntimeError(
            f"{locks} locks are in Redis after a window instead of {window.operations}"
        )
    per_s = round(window.operations / window.seconds)
    return Point(n, per_s, (per_s, per_s), busy, window.workers_cpu / window.seconds)


def _cpu_seconds(admin: redis.Redis) -> float:
    info = admin.info("cpu")
    seconds: float = info["used_cpu_user"] + info["used_cpu_sys"]
    return seconds


def _median(points: Sequence[Point]) -> Point:
    low, _, high = quantiles((point.per_s for point in points), method="inclusive")
    return Point(
        n=points[0].n,
        per_s=round(median(point.per_s for point in points)),
        spread=(round(low), round(high)),
        redis_busy=round(median(point.redis_busy for point in points), 2),
        workers_busy=round(median(point.workers_busy for point in points), 2),
    )


def acquire_one(url: str) -> Step:
    """Return a step that acquires one lock."""
    store = RedisStore(url)

    def step(keys: Iterator[str]) -> int:
        store.run([acquire_transition(next(keys), OWNER, LEASE)])
        return 1

    return step


def acquire_batch(url: str) -> Step:
    """Return a step that acquires BATCH locks."""
    store = RedisStore(url)

    def step(keys: Iterator[str]) -> int:
        store.run([acquire_transition(key, OWNER, LEASE) for key in islice(keys, BATCH)])
        return BATCH

    return step


def redis_py_set(url: str) -> Step:
    """Return a step that sets one key by redis-py."""
    client = redis.Redis.from_url(url)

    def step(keys: Iterator[str]) -> int:
        client.set(next(keys), OWNER, nx=True, ex=LEASE)
        return 1

    return step


class Series(NamedTuple):
    """A curve to measure.

    Attributes:
        name: the operation.
        over: what grows from point to point.
        load: the load of one process.
        counts: the numbers of threads or processes.
    """

    name: str
    over: Over
    load: Load
    counts: tuple[int, ...]


PLAN = (
    Series("take one lock", "threads", acquire_one, THREADS),
    Series("redis-py set(nx=True, ex=…)", "threads", redis_py_set, THREADS),
    Series("take one lock", "processes", acquire_one, PROCESSES),
    Series("redis-py set(nx=True, ex=…)", "processes", redis_py_set, PROCESSES),
    Series(f"take {BATCH} in bulk", "processes", acquire_batch, PROCESSES),
)
