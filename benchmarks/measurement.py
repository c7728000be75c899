"""Measurement of a row: two sides in interleaved rounds, compared by their medians."""

from __future__ import annotations

import gc
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


def nothing(_: int) -> None:
    """Do nothing, before or after a side."""


class Row(NamedTuple):
    """A comparison of two sides. Each callable gets the number of operations in a round.

    A side may return the seconds that it took, such as another program that does the work and times
    itself. Otherwise it is timed here.

    Attributes:
        name: its name in the table, "ours vs theirs".
        target: the ratio to reach; None for a row without a target.
        operations: the operations of a side in each round; they take about 50 ms or more.
        ours: runs them with faktory_unique.
        theirs: runs them without it.
        before: prepares a round of either side; not timed.
        after: raises if a side did not do the work that it is timed for; not timed.
        most_rounds: the most rounds that are counted, if one takes long; two or more.
    """

    name: str
    target: float | None
    operations: int
    ours: Callable[[int], float | None]
    theirs: Callable[[int], float | None]
    before: Callable[[int], None] = nothing
    after: Callable[[int], None] = nothing
    most_rounds: int | None = None


class Result(NamedTuple):
    """The result of a row as it is written to the results.

    Attributes:
        name: the row's name.
        ratio: ours_per_s / theirs_per_s.
        target: the row's target.
        verdict: "short" if the ratio is below the target; None without a target.
        ours_per_s: our operations per second in the median round.
        theirs_per_s: their operations per second in the median round.
        rounds: the counted rounds.
        spread: the quartiles, 25 % and 75 %, of the ratios of single rounds.
    """

    name: str
    ratio: float
    target: float | None
    verdict: Literal["ok", "short"] | None
    ours_per_s: int
    theirs_per_s: int
    rounds: int
    spread: tuple[float, float]


def measure(row: Row, rounds: int, tick: Callable[[], object]) -> Result:
    """Measure a row, after a warm-up round that is not counted.

    Args:
        row: the row.
        rounds: the rounds to count, two or more. An even number lets each side go first as often.
        tick: called after each round, the warm-up included.
    """
    seconds: dict[Callable[[int], float | None], list[float]] = {row.ours: [], row.theirs: []}
    sides = [row.ours, row.theirs]
    for _ in range(1 + rounds):
        for side in sides:
            seconds[side].append(_time(row, side))
        sides.reverse()  # each side goes first as often
        tick()
    ours, theirs = seconds[row.ours][1:], seconds[row.theirs][1:]

    ratio = round(median(theirs) / median(ours), 3)
    low, _, high = quantiles((b / a for a, b in zip(ours, theirs, strict=True)), method="inclusive")
    return Result(
        name=row.name,
        ratio=ratio,
        target=row.target,
        verdict=None if row.target is None else "ok" if ratio >= row.target else "short",
        ours_per_s=round(row.operations / median(ours)),
        theirs_per_s=round(row.operations / median(theirs)),
        rounds=rounds,
        spread=(round(low, 3), round(high, 3)),
    )


def _time(row: Row, side: Callable[[int], float | None]) -> float:
    """Return the seconds of a side's operations, without garbage collection."""
    row.before(row.operations)
    gc.collect()
    gc.disable()
    try:
        start = perf_counter()
        own_seconds = side(row.operations)
        seconds = perf_counter() - start
    finally:
        gc.enable()
    row.after(row.operations)
    return seconds if own_seconds is None else own_seconds
