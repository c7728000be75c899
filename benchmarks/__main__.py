"""`python -m benchmarks`: measure all rows on a Redis and a Faktory of its own."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.servers import FaktoryServer, RedisServer, missing_faktory, missing_redis

from .delay import NAME, Rounds, measure_delay
from .ground import BATCH, Ground
from .many import FEW, MANY, Many
from .measure import measure
from .pushes import Pushes
from .report import delay_table, machine, memory_line, save, table
from .rows import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .delay import Delay
    from .measure import Result, Row

ROUNDS = 40
QUICK = 4
DELAYS = Rounds(theirs=15, ours_for_each=4)
QUICK_DELAYS = Rounds(theirs=5, ours_for_each=3)
FEWEST = 2
WIDTH = 130  # of a log; a terminal tells its own


def main() -> int:
    """Run the benchmarks; a ratio that is short of its target is told, and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"counted rounds of each ratio (default {ROUNDS})"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rounds: does it run at all")
    arguments = parser.parse_args()
    rounds = QUICK if arguments.quick else ROUNDS
    if arguments.rounds is not None:
        rounds = arguments.rounds
    if rounds < FEWEST:
        parser.error(f"--rounds {rounds}: the quartiles need {FEWEST} or more")
    if reason := missing_redis():
        print(reason, file=sys.stderr)
        return 1
    faktory_missing = missing_faktory()

    signal.signal(signal.SIGTERM, _leave)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    measured: list[Result] = []
    delays: list[Delay] = []
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as name,
        ExitStack() as stack,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        folder = Path(name)
        server = stack.enter_context(RedisServer(folder / "redis"))
        ground = stack.enter_context(closing(Ground(server.url)))
        about = machine(ground.admin)

        def tick_of(what: str, total: int) -> Callable[[], object]:
            return partial(progress.advance, progress.add_task(what, total=total))

        def measure_all(of_one_ground: Iterable[Row]) -> None:
            measured.extend(
                measure(row, rounds, tick_of(row.name, 1 + rounds)) for row in of_one_ground
            )

        measure_all(rows(ground))
        if faktory_missing is None:
            faktory = stack.enter_context(FaktoryServer(folder / "faktory"))
            with Pushes(ground, faktory) as pushes:
                measure_all(pushes.rows())
            counted = QUICK_DELAYS if arguments.quick else DELAYS
            urls = faktory.url, server.url
            delays.append(measure_delay(folder, *urls, counted, tick_of(NAME, counted.all)))
        full, nearly_empty = (
            stack.enter_context(RedisServer(folder / name)).url for name in ("full", "nearly-empty")
        )
        filled = tick_of(f"{MANY:,} locks", (MANY + FEW) // BATCH)
        with closing(Many(full, nearly_empty, filled)) as many:
            memory = many.memory()
            measure_all([many.row()])
    console.print(table(measured))
    console.print(f"\n{rounds} rounds each\n", highlight=False)
    if delays:
        console.print(delay_table(delays))
    else:
        console.print(f"pushes, and {NAME}: left out, {faktory_missing}", highlight=False)
    console.print(f"\n{memory_line(memory)}", highlight=False)
    console.print(f"\nwritten to {save(about, measured, delays, memory)}", highlight=False)
    return 0


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)  # and stop the server on the way out


if __name__ == "__main__":
    sys.exit(main())
