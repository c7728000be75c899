"""`python -m benchmarks`: measure all rows on a Redis and a Faktory of its own."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.servers import FaktoryServer, RedisServer, missing_faktory, missing_redis

from .curves import Windows, measure_curves
from .delay import NAME, Rounds, measure_delay
from .ground import BATCH, Ground
from .many import FEW, MANY, Many
from .measure import measure
from .peers.rows import left_out, peer_rows
from .pushes import PushHistory
from .report import Measured, curve_table, delay_table, machine, memory_line, save, table
from .rows import rows
from .worked import Worked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .delay import Delay
    from .measure import Result, Row

FEWEST = 2


class Scale(NamedTuple):
    """How much is measured."""

    rounds: int
    delays: Rounds
    windows: Windows


WHOLE = Scale(40, Rounds(theirs=15, ours_for_each=4), Windows(rounds=5, seconds=1.0))
QUICK = Scale(4, Rounds(theirs=5, ours_for_each=3), Windows(rounds=2, seconds=0.2))
WIDTH = 140  # of a log; a terminal tells its own


def main() -> int:
    """Run the benchmarks; a ratio that is short of its target is told, and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    told = f"counted rounds of each ratio (default {WHOLE.rounds})"
    parser.add_argument("--rounds", type=int, metavar="N", help=told)
    told = f"{QUICK.rounds} rounds: does it run at all"
    parser.add_argument("--quick", action="store_true", help=told)
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else WHOLE
    if arguments.rounds is not None:
        scale = scale._replace(rounds=arguments.rounds)
    if scale.rounds < FEWEST:
        parser.error(f"--rounds {scale.rounds}: the quartiles need {FEWEST} or more")
    if reason := missing_redis():
        print(reason, file=sys.stderr)
        return 1
    faktory_missing = missing_faktory()

    signal.signal(signal.SIGTERM, _leave)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as name,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        measured = _measure(Path(name), scale, progress, without_faktory=bool(faktory_missing))
    console.print(table(measured.ratios))
    console.print()
    console.print(curve_table(measured.curves))
    console.print(f"\n{memory_line(measured.memory)}\n", highlight=False)
    if measured.delays:
        console.print(delay_table(measured.delays))
    if faktory_missing:
        told = f"pushes, jobs worked, and {NAME}: left out, {faktory_missing}"
        console.print(told, highlight=False)
    for told in left_out():
        console.print(told, highlight=False)
    told = f"\nwritten to {save(measured)}, and as pictures beside it"
    console.print(told, highlight=False)
    return 0


def _measure(folder: Path, scale: Scale, progress: Progress, *, without_faktory: bool) -> Measured:
    """Measure all, on servers that are gone when it returns."""
    ratios: list[Result] = []
    delays: list[Delay] = []

    def tick_of(what: str, total: int) -> Callable[[], object]:
        return partial(progress.advance, progress.add_task(what, total=total))

    def measure_all(of_one_ground: Iterable[Row]) -> None:
        for row in of_one_ground:
            rounds = min(scale.rounds, row.most_rounds or scale.rounds)
            ratios.append(measure(row, rounds, tick_of(row.name, 1 + rounds)))

    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        ground = stack.enter_context(closing(Ground(redis.url)))
        about = machine(ground.admin)
        measure_all(rows(ground))
        faktory = None
        if not without_faktory:
            faktory = stack.enter_context(FaktoryServer(folder / "faktory"))
            with PushHistory(ground, faktory) as pushes:
                measure_all(pushes.rows())
        with closing(peer_rows(ground, faktory)) as against_peers:  # which ends the last peer
            measure_all(against_peers)
        if faktory is not None:
            with Worked(folder, ground, faktory) as worked:
                measure_all(worked.rows())
            tick = tick_of(NAME, scale.delays.all)
            delays.append(measure_delay(folder, faktory.url, redis.url, scale.delays, tick))
        curves = measure_curves(redis.url, scale.windows, tick_of("curves", scale.windows.all))
        full, nearly_empty = (
            stack.enter_context(RedisServer(folder / name)).url for name in ("full", "nearly-empty")
        )
        filled = tick_of(f"{MANY:,} locks", (MANY + FEW) // BATCH)
        with closing(Many(full, nearly_empty, filled)) as many:
            measure_all([many.row()])
            return Measured(about, ratios, curves, delays, many.memory())


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)  # and stop the server on the way out


if __name__ == "__main__":
    sys.exit(main())
