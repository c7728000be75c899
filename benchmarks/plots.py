"""Pictures of the results in SVG: `python -m benchmarks.plots RESULTS.json FOLDER`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter, NullLocator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.typing import RcKeyType

# The same figures give the same file, so that a picture differs only if its figures do.
STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
    "font.family": "sans-serif",
    # matplotlib ships the first font and measures by it; a browser without it uses any other.
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.8,
}
UNDATED = {"Date": None, "Creator": None}


class Look(NamedTuple):
    """The look of a verdict: its colour, hatch, word and legend."""

    colour: str
    hatch: str
    word: str
    legend: str


LOOKS: dict[str | None, Look] = {
    "ok": Look("#56b4e9", "", "ok", "target met"),
    "short": Look("#e69f00", "////", "short", "short of its target"),
    None: Look("#bbbbbb", "\\\\\\\\", "", "without a target"),
}
LINES = (("#0072b2", "o-"), ("#d55e00", "s--"), ("#009e73", "^-."), ("#cc79a7", "D:"))
EDGE = "#333333"
BAR = 0.42  # inches of height
WIDTH = 10


def plot(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write a picture of the ratios and one of the curves, if there are any; return their paths.

    Args:
        results: the JSON of a run.
        folder: the target folder; it is created if needed, and old pictures are overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with rc_context(STYLE):
        for name, draw in ("ratios", _ratios), ("curves", _curves):
            if results.get(name):
                path = folder / f"{name}.svg"
                draw(results[name]).savefig(path, format="svg", metadata=UNDATED)
                paths.append(path)
    return paths


def _ratios(ratios: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw a bar for each ratio, from 1 to the ratio, on a log axis."""
    figure = Figure(figsize=(WIDTH, 1.3 + BAR * len(ratios)), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(ratios):
        look, ratio, target = LOOKS[row["verdict"]], row["ratio"], row["target"]
        low, high = row["spread"]
        bar = axes.barh(y, ratio - 1, 0.6, 1, color=look.colour, edgecolor=EDGE, linewidth=0.6)
        bar.patches[0].set_hatch(look.hatch)
        axes.plot([low, high], [y, y], color="black", linewidth=1.4, marker="|", markersize=7)
        if target is not None:
            axes.plot(target, y, color="#d6006c", marker="D", markersize=6, linestyle="none")
        axes.annotate(
            f"{ratio:.2f} {look.word}".rstrip(),
            (max(1, ratio, high, target or 0), y),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(ratios)), [_two_lines(row["name"]) for row in ratios], fontsize=9)
    axes.invert_yaxis()
    axes.set_xscale("log", base=2)
    left, right = axes.get_xlim()
    axes.set_xlim(left / 1.1, right * 1.5)  # room for the words
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("ours / theirs, operations per second: the further right the better")
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    _add_legend(figure, axes, {row["verdict"] for row in ratios})
    return figure


def _add_legend(figure: Figure, axes: Axes, verdicts: set[str | None]) -> None:
    """Add a legend of bars and marks above the axes."""
    bars = [
        Patch(facecolor=look.colour, hatch=look.hatch, edgecolor=EDGE, label=look.legend)
        for verdict, look in LOOKS.items()
        if verdict in verdicts
    ]
    marks = [
        *axes.plot([], [], "D", color="#d6006c", label="target"),
        *axes.plot([], [], "|-", color="black", label="quartiles of the rounds"),
    ]
    figure.legend(handles=[*bars, *marks], loc="outside upper center", ncols=5, frameon=False)


def _two_lines(name: str) -> str:
    """Return the row's name with a line for each side."""
    ours, versus, theirs = name.partition(" vs ")
    return f"{ours}\nvs {theirs}" if versus else name


def _curves(curves: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the locks acquired per second, over threads and over processes."""
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    looks = dict(zip(dict.fromkeys(curve["name"] for curve in curves), LINES, strict=False))
    panels = figure.subplots(1, 2, sharey=True)
    handles = {}
    for axes, over in zip(panels, ("threads", "processes"), strict=True):
        for curve in (curve for curve in curves if curve["over"] == over):
            points = curve["points"]
            (colour, line), xs = looks[curve["name"]], [point["n"] for point in points]
            [handles[curve["name"]]] = axes.plot(
                xs, [point["per_s"] for point in points], line, color=colour
            )
            low, high = zip(*(point["spread"] for point in points), strict=True)
            axes.fill_between(xs, low, high, color=colour, alpha=0.2, linewidth=0)
        counts = {p["n"] for c in curves if c["over"] == over for p in c["points"]}
        _set_log_axes(axes, sorted(counts))
        axes.set_xlabel({"threads": "threads of one process"}.get(over, over))
    panels[0].set_ylabel("locks taken per second, all together")
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=4, frameon=False
    )
    return figure


def _set_log_axes(axes: Axes, counts: Sequence[int]) -> None:
    """Make both axes logarithmic, so that proportional growth is a straight line."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(which="both", color="#dddddd")
    axes.set_axisbelow(True)


def main() -> int:
    """Draw the results of a run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=main.__doc__)
    parser.add_argument("results", type=Path, help="the JSON of a run: results/<UTC time>.json")
    parser.add_argument("folder", type=Path, help="the folder for the pictures")
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text(encoding="utf-8"))
    for path in plot(results, arguments.folder):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
