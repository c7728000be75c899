"""Self-test of the chaos run: each planted bug is found, and the unchanged code passes each trial.

    python -m tests.chaos.selftest             # all bugs, and all trials without a bug
    python -m tests.chaos.selftest no_lease    # this bug, and its trial without it

A bug is found if the run exits with status 1 and prints the damage that this bug does. To look at
the journals of a run: python -m tests.chaos --early --trial slow_push --bug no_lease
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.chaos.bugs import BUGS
from tests.chaos.run import print_line
from tests.chaos.trials import TRIALS

_REPOSITORY = Path(__file__).resolve().parents[2]
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

UNCHANGED = "(unchanged)"
"""The name of a run without a bug in the table."""

DAMAGE = (
    *("lost", "superseded by no job", "stray", "blocked", "missed", "late report", "same jid"),
    *("held up", "unexplained overlap", "orphan", "finding"),
)
"""How the lines begin that a failed run prints."""

_TRIES = 2
"""How often a bug is tried with other seeds: whether a race is met is a matter of chance."""


class Result(NamedTuple):
    """The result of a trial.

    Attributes:
        bug: the name of the planted bug; empty for none.
        trial: the name of the trial.
        report: the first line about its damage, else the last line.
        seconds: how long it took.
        is_right: whether the bug was found, or the unchanged code passed.
        tries: how often the trial was run.
    """

    bug: str
    trial: str
    report: str
    seconds: float
    is_right: bool
    tries: int = 1


class SelfTest:
    """Runs trials, each in a process of its own. Safe over threads.

    Args:
        seed: the seed of the trials.
    """

    def __init__(self, seed):
        self._seed = seed
        self._mutex = threading.Lock()
        self._running = set()
        self._stopped = False

    def stop(self):
        """End the runs in progress, and start no more."""
        with self._mutex:
            self._stopped = True
            for process in self._running:
                process.send_signal(signal.SIGTERM)  # it ends its servers and processes

    def find(self, bug):
        """Run the trial of a bug with the bug; another time with another seed if it passes."""
        damage, trial = BUGS[bug].damage, BUGS[bug].trial
        for tries in range(1, _TRIES + 1):
            status, lines, seconds = self._run(trial, "--bug", bug, seed=self._seed + tries - 1)
            found = [line for line in lines if line.startswith(damage)]
            if status:
                break
        report = found[0] if found else _last(lines)
        return Result(bug, trial, report, seconds, status == 1 and bool(found), tries)

    def pass_unchanged(self, trial):
        """Run a trial without a bug."""
        status, lines, seconds = self._run(trial, seed=self._seed)
        damage = [line for line in lines if line.startswith(DAMAGE)]
        return Result("", trial, damage[0] if damage else _last(lines), seconds, status == 0)

    def _run(self, trial, *arguments, seed):
        """Run a trial, and return its exit status, its lines, and the seconds that it took."""
        command = [sys.executable, "-m", "tests.chaos", "--early", "--trial", trial]
        since = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="selftest-") as folder:
            with self._mutex:
                if self._stopped:
                    return 2, [], 0
                process = subprocess.Popen(
                    [*command, "--seed", str(seed), *arguments],
                    cwd=_REPOSITORY,
                    env={**os.environ, "TMPDIR": folder},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,  # Ctrl-C reaches this process alone: see `stop`
                )
                self._running.add(process)
            output, _ = process.communicate()
            with self._mutex:
                self._running.remove(process)
        return process.returncode, output.splitlines(), time.monotonic() - since


def _last(lines):
    summaries = [line for line in lines if line.startswith(("chaos:", "orphan", "finding"))]
    return next(reversed(summaries or lines), "no output")


def row(result):
    """Return the line of the table for a result."""
    verdict = "found" if result.bug else "green"
    if not result.is_right:
        verdict = "NOT FOUND" if result.bug else "RED"
    if result.tries > 1:
        verdict += f" (try {result.tries})"
    name = result.bug or UNCHANGED
    return f"{name:<28} {result.trial:<25} {result.seconds:5.0f} s  {verdict:<10} {result.report}"


def main():
    """Run the trials, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.selftest", description=__doc__)
    parser.add_argument("bugs", nargs="*", metavar="bug", help="by default all bugs")
    parser.add_argument("--only-bugs", action="store_true", help="not the unchanged code")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="how many runs at a time")
    options = parser.parse_args()
    bugs = options.bugs or list(BUGS)
    if unknown := set(bugs) - set(BUGS):
        parser.error(f"no such bug: {', '.join(sorted(unknown))}; there are {', '.join(BUGS)}")
    trials = [name for name in TRIALS if any(BUGS[bug].trial == name for bug in bugs)]
    if options.only_bugs:
        trials = []
    self_test = SelfTest(options.seed)
    for number in _INTERRUPTS:
        signal.signal(number, lambda *_signal: self_test.stop())
    with ThreadPoolExecutor(options.jobs) as threads:
        pending = [threads.submit(self_test.pass_unchanged, trial) for trial in trials]
        pending += [threads.submit(self_test.find, bug) for bug in bugs]
        results = []
        for future in pending:
            results.append(future.result())
            print_line(row(results[-1]))
    found = [result for result in results if result.bug and result.is_right]
    green = [result for result in results if not result.bug and result.is_right]
    slowest = max((result.seconds for result in found), default=0)
    print_line(
        f"selftest: bugs={len(bugs)} found={len(found)} slowest={slowest:.0f} s "
        f"trials={len(trials)} green={len(green)}"
    )
    return 0 if len(found) == len(bugs) and len(green) == len(trials) else 1


if __name__ == "__main__":
    sys.exit(main())
