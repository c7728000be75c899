"""Command line of the benchmarks, `python -m benchmarks`: all rows on its own Redis and Faktory."""

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

from .lock_rows import lock_rows
from .many_locks import FEW, MANY, ManyLocks
from .measurement import measure
from .peers.rows import left_out, peer_rows
from .push_rows import PushRows
from .redis_setup import BATCH, RedisSetup
from .release_delay import NAME, Rounds, measure_delay
from .report import Measurements, curve_table, delay_table, machine, memory_line, save, table
from .scaling import Windows, measure_curves
from .worker_rows import WorkerRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .measurement import Result, Row
    from .release_delay import Delay

FEWEST_ROUNDS = 2


class Scale(NamedTuple):
    """The amount of measurements."""

    rounds: int
    delays: Rounds
    windows: Windows


WHOLE = Scale(40, Rounds(theirs=15, ours_for_each=4), Windows(rounds=5, seconds=1.0))
QUICK = Scale(4, Rounds(theirs=5, ours_for_each=3), Windows(rounds=2, seconds=0.2))
LOG_WIDTH = 140  # columns, if stdout is no terminal


def main() -> int:
    """Run the benchmarks. A ratio below its target is shown, and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    rounds_help = f"counted rounds of each ratio (default {WHOLE.rounds})"
    parser.add_argument("--rounds", type=int, metavar="N", help=rounds_help)
    quick_help = f"{QUICK.rounds} rounds, to see that everything runs"
    parser.add_argument("--quick", action="store_true", help=quick_help)
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else WHOLE
    if arguments.rounds is not None:
        scale = scale._replace(rounds=arguments.rounds)
    if scale.rounds < FEWEST_ROUNDS:
        parser.error(f"--rounds {scale.rounds}: quartiles need {FEWEST_ROUNDS} rounds or more")
    if reason := missing_redis():
        print(reason, file=sys.stderr)
        return 1
    faktory_missing = missing_faktory()

    signal.signal(signal.SIGTERM, _exit)
    console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as folder,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        results = _measure(Path(folder), scale, progress, without_faktory=bool(faktory_missing))
    console.print(table(results.ratios))
    console.print()
    console.print(curve_table(results.curves))
    console.print(f"\n{memory_line(results.memory)}\n", highlight=False)
    if results.delays:
        console.print(delay_table(results.delays))
    if faktory_missing:
        line = f"pushes, jobs worked, and {NAME}: left out, {faktory_missing}"
        console.print(line, highlight=False)
    for line in left_out():
        console.print(line, highlight=False)
    line = f"\nwritten to {save(results)}, with pictures in a folder of the same name"
    console.print(line, highlight=False)
    return 0


def _measure(
    folder: Path, scale: Scale, progress: Progress, *, without_faktory: bool
) -> Measurements:
    """Measure everything on servers that are stopped before it returns."""
    ratios: list[Result] = []
    delays: list[Delay] = []

    def tick_of(description: str, total: int) -> Callable[[], object]:
        return partial(progress.advance, progress.add_task(description, total=total))

    def measure_all(rows: Iterable[Row]) -> None:
        for row in rows:
            rounds = min(scale.rounds, row.most_rounds or scale.rounds)
            ratios.append(measure(row, rounds, tick_of(row.name, 1 + rounds)))

    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        setup = stack.enter_context(closing(RedisSetup(redis.url)))
        machine_info = machine(setup.admin)
        measure_all(lock_rows(setup))
        faktory = None
        if not without_faktory:
            faktory = stack.enter_context(FaktoryServer(folder / "faktory"))
            with PushRows(setup, faktory) as pushes:
                measure_all(pushes.rows())
        with closing(peer_rows(setup, faktory)) as rows:  # closing it ends the last peer
            measure_all(rows)
        if faktory is not None:
            with WorkerRows(folder, setup, faktory) as workers:
                measure_all(workers.rows())
            tick = tick_of(NAME, scale.delays.total)
            delays.append(measure_delay(folder, faktory.url, redis.url, scale.delays, tick))
        curves = measure_curves(redis.url, scale.windows, tick_of("curves", scale.windows.total))
        full, nearly_empty = (
            stack.enter_context(RedisServer(folder / name)).url for name in ("full", "nearly-empty")
        )
        filled = tick_of(f"{MANY:,} locks", (MANY + FEW) // BATCH)
        with closing(ManyLocks(full, nearly_empty, filled)) as many:
            measure_all([many.row()])
            return Measurements(machine_info, ratios, curves, delays, many.memory())


def _exit(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)  # the context managers stop the servers


if __name__ == "__main__":
    sys.exit(main())
