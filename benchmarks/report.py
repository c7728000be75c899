"""Report of a run: results as JSON, as tables on the terminal, and as pictures."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

from .plots import plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from .many_locks import Memory
    from .measurement import Result
    from .release_delay import Delay
    from .scaling import Curve

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("faktory-unique", "hiredis", "orjson", "pyfaktory", "redis")
VERDICTS = {None: "", "ok": "[green]ok[/]", "short": "[yellow]short[/]"}


def machine(client: redis.Redis) -> dict[str, object]:
    """Return what the ratios depend on, without the machine's name.

    The versions of Faktory and of the peers are those that the repository pins.
    """
    server = client.info("server")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "load_1m_at_start": round(os.getloadavg()[0], 2),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "redis_server": server["redis_version"],
        "packages": {name: version(name) for name in PACKAGES},
    }


class Measurements(NamedTuple):
    """All results of a run."""

    machine: dict[str, object]
    ratios: list[Result]
    curves: list[Curve]
    delays: list[Delay]
    memory: Memory


def save(results: Measurements) -> Path:
    """Write the results to a file named for the current UTC time, and pictures beside it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    content = {
        "machine": results.machine,
        "ratios": [result._asdict() for result in results.ratios],
        "curves": [curve.as_dict() for curve in results.curves],
        "delays": [delay._asdict() for delay in results.delays],
        "memory": results.memory._asdict(),
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    plot(content, path.with_suffix(""))
    return path.relative_to(RESULTS.parent.parent)


def table(results: Sequence[Result]) -> Table:
    """Return the ratios as a table."""
    table = _table("ratio", "25 %, 75 %", "target", "", "ours/s", "theirs/s", "rounds")
    for result in results:
        low, high = result.spread
        table.add_row(
            result.name,
            f"{result.ratio:.3f}",
            f"{low:.2f}, {high:.2f}",
            "" if result.target is None else f"{result.target:g}",
            VERDICTS[result.verdict],
            f"{result.ours_per_s:,}",
            f"{result.theirs_per_s:,}",
            str(result.rounds),
        )
    return table


def delay_table(delays: Sequence[Delay]) -> Table:
    """Return the delays as a table."""
    table = _table("ratio", "ours", "95 %", "target", "", "theirs", "95 %", "rounds")
    for delay in delays:
        table.add_row(
            delay.name,
            f"{delay.ratio:,.0f}",
            f"{delay.ours_ms:.1f} ms",
            f"{delay.ours_p95_ms:.1f} ms",
            f"{delay.target_ms:g} ms",
            VERDICTS[delay.verdict],
            f"{delay.theirs_ms:,.0f} ms",
            f"{delay.theirs_p95_ms:,.0f} ms",
            f"{delay.ours_rounds}, {delay.theirs_rounds}",
        )
    return table


def curve_table(curves: Sequence[Curve]) -> Table:
    """Return the curves as a table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("locks taken per second")
    for title in ("over", "per s", "25 %, 75 %", "Redis busy", "workers busy"):
        table.add_column(title, justify="right", no_wrap=True)
    for curve in curves:
        for point in curve.points:
            low, high = point.spread
            table.add_row(
                curve.name,
                f"{point.n} {curve.over}",
                f"{point.per_s:,}",
                f"{low:,}, {high:,}",
                f"{point.redis_busy:.2f}",
                f"{point.workers_busy:.2f}",
            )
    return table


def memory_line(memory: Memory) -> str:
    """Return the memory of a lock as a line."""
    return f"{memory.name}: {memory.bytes}, target {memory.target} {VERDICTS[memory.verdict]}"


def _table(*titles: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("ours vs theirs")
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table
