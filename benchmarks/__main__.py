"""`python -m benchmarks`: measure all rows on a Redis and a Faktory of its own."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.servers import FaktoryServer, RedisServer, missing_faktory, missing_redis

from .delay import NAME, Rounds, measure_delay
from .ground import Ground
from .measure import measure
from .report import delay_table, machine, save, table
from .rows import rows

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
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as folder,
        RedisServer(Path(folder)) as server,
        closing(Ground(server.url)) as ground,
    ):
        about = machine(ground.admin)
        measured = []
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as progress:
            for row in rows(ground):
                task = progress.add_task(row.name, total=1 + rounds)
                measured.append(measure(row, rounds, partial(progress.advance, task)))
            delays = []
            if faktory_missing is None:
                with FaktoryServer(Path(folder, "faktory")) as faktory:
                    counted = QUICK_DELAYS if arguments.quick else DELAYS
                    task = progress.add_task(NAME, total=counted.all)
                    tick = partial(progress.advance, task)
                    urls = faktory.url, server.url
                    delays.append(measure_delay(Path(folder), *urls, counted, tick))
    console.print(table(measured))
    console.print(f"\n{rounds} rounds each\n", highlight=False)
    if delays:
        console.print(delay_table(delays))
    else:
        console.print(f"{NAME}: left out, {faktory_missing}", highlight=False)
    console.print(f"\nwritten to {save(about, measured, delays)}", highlight=False)
    return 0


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)  # and stop the server on the way out


if __name__ == "__main__":
    sys.exit(main())
