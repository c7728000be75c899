"""How many locks a second one Redis gives out, over threads of a process and over processes."""

from __future__ import annotations

import random
from itertools import islice
from statistics import median, quantiles
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import redis

from faktory_unique.locks.lifecycle import acquire_transition
from faktory_unique.stores.redis import RedisStore

from .crowd import Crowd
from .ground import BATCH, LEASE, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .crowd import Load, Step

THREADS = 1, 2, 4, 8, 16
PROCESSES = 1, 2, 4, 8
SEED = 1

Over: TypeAlias = Literal["threads", "processes"]


class Windows(NamedTuple):
    """How long is measured: each point for so many seconds, in each of so many rounds."""

    rounds: int  # two or more
    seconds: float

    @property
    def all(self) -> int:
        """The windows of all points and rounds."""
        return self.rounds * sum(len(series.counts) for series in PLAN)


class Point(NamedTuple):
    """A point of a curve: medians over the rounds.

    Attributes:
        n: how many threads or processes.
        per_s: locks taken per second, by all together.
        spread: the quartiles, 25 % and 75 %, of it.
        redis_busy: seconds of CPU that Redis took per second; at 1 its one thread is all used.
        workers_busy: likewise, all threads or processes together. Both together come near the
            number of the machine's cores where these are the bound; the rest is the kernel's, for
            the loopback, and whatever else runs.
    """

    n: int
    per_s: int
    spread: tuple[int, int]
    redis_busy: float
    workers_busy: float


class Curve(NamedTuple):
    """What came out, as it is written to the results.

    Attributes:
        name: what was done.
        over: what there were more and more of.
        points: from the fewest to the most.
    """

    name: str
    over: Over
    points: list[Point]

    def as_dict(self) -> dict[str, object]:
        """The curve and its points, for JSON."""
        return {**self._asdict(), "points": [point._asdict() for point in self.points]}


def measure_curves(url: str, windows: Windows, tick: Callable[[], object]) -> list[Curve]:
    """Measure all points, in an order drawn anew for each round, always the same draws.

    Args:
        url: a Redis of nobody else's; it is flushed before each window, and in the end.
        windows: how many, and how long.
        tick: called after each.

    Raises:
        RuntimeError: a lock was not taken, or a worker has ended.
    """
    draw = random.Random(SEED)
    places = [(series, n) for series in PLAN for n in series.counts]
    found: dict[tuple[Series, int], list[Point]] = {place: [] for place in places}
    with Crowd(url, max(PROCESSES)) as crowd, redis.Redis.from_url(url) as admin:
        try:
            for _ in range(windows.rounds):
                for place in draw.sample(places, len(places)):
                    found[place].append(_point(crowd, admin, *place, windows.seconds))
                    tick()
        finally:
            admin.flushdb()
    return [
        Curve(series.name, series.over, [_median(found[series, n]) for n in series.counts])
        for series in PLAN
    ]


def _point(crowd: Crowd, admin: redis.Redis, series: Series, n: int, seconds: float) -> Point:
    """One window of a point."""
    processes, threads = (n, 1) if series.over == "processes" else (1, n)
    crowd.prepare(series.load, processes, threads)
    admin.flushdb()
    before = _cpu(admin)
    window = crowd.go(processes, seconds)
    busy = (_cpu(admin) - before) / window.seconds
    if (locks := admin.dbsize()) != window.done:
        raise RuntimeError(f"{locks} locks are in Redis after a window instead of {window.done}")
    per_s = round(window.done / window.seconds)
    return Point(n, per_s, (per_s, per_s), busy, window.workers_cpu / window.seconds)


def _cpu(admin: redis.Redis) -> float:
    used = admin.info("cpu")
    cpu: float = used["used_cpu_user"] + used["used_cpu_sys"]
    return cpu


def _median(points: Sequence[Point]) -> Point:
    low, _, high = quantiles((point.per_s for point in points), method="inclusive")
    return Point(
        n=points[0].n,
        per_s=round(median(point.per_s for point in points)),
        spread=(round(low), round(high)),
        redis_busy=round(median(point.redis_busy for point in points), 2),
        workers_busy=round(median(point.workers_busy for point in points), 2),
    )


def single(url: str) -> Step:
    """One take after the other."""
    store = RedisStore(url)

    def step(keys: Iterator[str]) -> int:
        store.run([acquire_transition(next(keys), OWNER, LEASE)])
        return 1

    return step


def bulk(url: str) -> Step:
    """Takes in batches."""
    store = RedisStore(url)

    def step(keys: Iterator[str]) -> int:
        store.run([acquire_transition(key, OWNER, LEASE) for key in islice(keys, BATCH)])
        return BATCH

    return step


def by_hand(url: str) -> Step:
    """The same as one take after the other, by redis-py."""
    client = redis.Redis.from_url(url)

    def step(keys: Iterator[str]) -> int:
        client.set(next(keys), OWNER, nx=True, ex=LEASE)
        return 1

    return step


class Series(NamedTuple):
    """What a curve is measured of: its name, and what is done by how many."""

    name: str
    over: Over
    load: Load
    counts: tuple[int, ...]


PLAN = (
    Series("take one lock", "threads", single, THREADS),
    Series("redis-py set(nx=True, ex=…)", "threads", by_hand, THREADS),
    Series("take one lock", "processes", single, PROCESSES),
    Series("redis-py set(nx=True, ex=…)", "processes", by_hand, PROCESSES),
    Series(f"take {BATCH} in bulk", "processes", bulk, PROCESSES),
)
