"""Rows, and how one is measured: two sides in interleaved rounds, compared by their medians."""

from __future__ import annotations

import gc
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


def nothing(_: int) -> None:
    """Do nothing before or after a side."""


class Row(NamedTuple):
    """What is compared. Each callable gets the number of operations in a round.

    A side that knows better says itself how many seconds it took, such as another program that does
    the work; else it is timed.

    Attributes:
        name: what stands in the table, "ours vs theirs".
        target: the ratio that is to be reached; None for a row that only informs.
        operations: how many a side does in each round; such that it takes about 50 ms or more.
        ours: does them with faktory_unique.
        theirs: does them without.
        before: prepares the ground for either side. Not timed.
        after: raises where a side did not do what it is timed for. Not timed.
        most_rounds: how many are counted at the most, where one takes long; two or more.
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
    """What came out of a row, as it is written to the results.

    Attributes:
        name: that of the row.
        ratio: ours_per_s / theirs_per_s.
        target: that of the row.
        verdict: "short" where the ratio is below the target; None where there is none.
        ours_per_s: operations per second in the median round.
        theirs_per_s: likewise.
        rounds: how many were counted.
        spread: the quartiles, 25 % and 75 %, of the ratios of the single rounds.
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
    """Measure a row, after a warm-up that is not counted.

    Args:
        row: what to measure.
        rounds: how many to count; two or more, best even, so that each side goes first as often.
        tick: called after each round, the warm-up among them.
    """
    seconds: dict[Callable[[int], float | None], list[float]] = {row.ours: [], row.theirs: []}
    sides = [row.ours, row.theirs]
    for _ in range(1 + rounds):
        for side in sides:
            seconds[side].append(_time(row, side))
        sides.reverse()  # whatever the first leaves behind, each side meets it as often
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
    """Seconds that a side takes for its operations, with no garbage collection among them."""
    row.before(row.operations)
    gc.collect()
    gc.disable()
    try:
        start = perf_counter()
        said = side(row.operations)
        took = perf_counter() - start
    finally:
        gc.enable()
    row.after(row.operations)
    return took if said is None else said
