"""Where results go: JSON for machines, tables for people, and pictures."""

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

    from .curves import Curve
    from .delay import Delay
    from .many import Memory
    from .measure import Result

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("faktory-unique", "hiredis", "orjson", "pyfaktory", "redis")
VERDICTS = {None: "", "ok": "[green]ok[/]", "short": "[yellow]short[/]"}


def machine(client: redis.Redis) -> dict[str, object]:
    """What the ratios depend on; nothing that tells whose machine it is.

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


class Measured(NamedTuple):
    """What a run came to."""

    machine: dict[str, object]
    ratios: list[Result]
    curves: list[Curve]
    delays: list[Delay]
    memory: Memory


def save(measured: Measured) -> Path:
    """Write the results to a file named for the present second, in UTC, and pictures beside it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    content = {
        "machine": measured.machine,
        "ratios": [result._asdict() for result in measured.ratios],
        "curves": [curve.as_dict() for curve in measured.curves],
        "delays": [delay._asdict() for delay in measured.delays],
        "memory": measured.memory._asdict(),
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    plot(content, path.with_suffix(""))
    return path.relative_to(RESULTS.parent.parent)


def table(results: Sequence[Result]) -> Table:
    """The ratios as a table."""
    table = _empty("ratio", "25 %, 75 %", "target", "", "ours/s", "theirs/s", "rounds")
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
    """The delays as a table."""
    table = _empty("ratio", "ours", "95 %", "target", "", "theirs", "95 %", "rounds")
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
    """The curves as a table."""
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
    """The memory of a lock, in a line."""
    return f"{memory.name}: {memory.bytes}, target {memory.target} {VERDICTS[memory.verdict]}"


def _empty(*titles: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("ours vs theirs")
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table
