"""`python -m benchmarks`: measure all rows on a Redis of its own."""

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

from scripts.servers import RedisServer, missing_redis

from .ground import Ground
from .measure import measure
from .report import machine, save, table
from .rows import rows

ROUNDS = 40
QUICK = 4
FEWEST = 2
WIDTH = 130  # of a log; a terminal tells its own


def main() -> int:
    """Run the benchmarks; a ratio that is short of its target is told, and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"counted rounds of each row (default {ROUNDS})"
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
    console.print(table(measured))
    console.print(f"\n{rounds} rounds each; written to {save(about, measured)}", highlight=False)
    return 0


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)  # and stop the server on the way out


if __name__ == "__main__":
    sys.exit(main())
