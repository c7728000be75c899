"""Run the tests on a random sample of mutants: `python -m tests.mutants --sample 300 --seed 1`.

Each mutant meets only the tests that execute its line, in two rounds: a few fast ones, then the
rest. The program prints the diff of each survivor and a summary. It exits with 1 if the score is
below 97 %.

A busy machine decides nothing. A test on real servers, or of 0.1 s, must fail twice to kill.
Tests that exceed their limit run again at the end, alone, with a limit that follows from the time
that they take on the unchanged package at that moment.
"""

from __future__ import annotations

import argparse
import math
import queue
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass

from tests.mutants.mutate import sample
from tests.mutants.selection import Selection, package_sources
from tests.mutants.tree import Outcome, Tree

_LEAST_SCORE = 97
_AT_ONCE = 2

# The first round of tests of a mutant: most mutants end here.
_FIRST_TESTS, _FIRST_SECONDS = 20, 2.0
# The tests after these seconds are left out. That can only lower the score.
_MOST_SECONDS = 240.0
# Seconds until a test is ended: far more than it took when it was recorded.
_START, _FACTOR = 20.0, 5.0
# Seconds from which the failure of a test may be that of a busy machine.
_SLOW = 0.1


@dataclass(frozen=True)
class Verdict:
    """What the tests said about a mutant: killed or not, by which test, and how many ran."""

    killed: bool
    reason: str


class Run:
    """The tests of each mutant, on some trees at once.

    Args:
        selection: the tests of each line.
        trees: the copies of the repository.
    """

    def __init__(self, selection, trees):
        self._selection = selection
        self._trees = queue.SimpleQueue()
        for tree in trees:
            self._trees.put(tree)

    def judge(self, mutant, *, alone=False):
        """Run the tests of a mutant. Return the verdict; None if its tests exceeded their limit.

        Args:
            mutant: the mutant.
            alone: whether no other tests run. The limits then follow from the time that the tests
                take on the unchanged package at this moment, and a time-out kills the mutant.
        """
        rounds, left_out = self._rounds(mutant)
        tree = self._trees.get()
        try:
            for tests in rounds:
                outcome, failed, seconds = _unchanged(tree, tests) if alone else _NOT_RUN
                if outcome is not Outcome.PASSED:
                    reason = f"fail on the unchanged package: {', '.join(failed)}"
                    return Verdict(killed=False, reason=reason)
                with tree.mutated(mutant):
                    outcome, failed = _outcome(tree, tests, seconds)
                if outcome is Outcome.TIMED_OUT and not alone:
                    return None
                if outcome is not Outcome.PASSED:
                    return Verdict(killed=True, reason=", ".join(failed) or outcome.value)
        finally:
            self._trees.put(tree)
        number = sum(map(len, rounds))
        reason = f"{number} tests passed, {left_out} not run" if number else "no test executes it"
        return Verdict(killed=False, reason=reason)

    def _rounds(self, mutant):
        """Return the tests of each round, and the number of tests that are left out."""
        tests = self._selection.tests_for(mutant)
        first = []
        for test in tests[:_FIRST_TESTS]:
            if test.on_servers or sum(t.seconds for t in first) + test.seconds > _FIRST_SECONDS:
                break
            first.append(test)
        second, seconds = [], 0.0
        for test in tests[len(first) :]:
            seconds += test.seconds
            if seconds > _MOST_SECONDS:
                break
            second.append(test)
        left_out = len(tests) - len(first) - len(second)
        return [tests for tests in (first, second) if tests], left_out


def _outcome(tree, tests, seconds):
    """Run tests, and those that failed once more, if a busy machine can have failed them.

    Args:
        tree: contains the mutant.
        tests: the tests.
        seconds: the time of all these tests, if it has just been measured.
    """
    by_name = {test.name: test for test in tests}
    limits = {t.name: _START + _FACTOR * max(t.seconds, seconds) for t in tests}
    outcome, failed = tree.run(limits)
    if outcome is Outcome.FAILED and any(_may_be_flaky(by_name[name]) for name in failed):
        return tree.run({name: limits[name] for name in failed})
    return tree.run(limits) if outcome is Outcome.BROKEN else (outcome, failed)


def _may_be_flaky(test):
    return test.on_servers or test.seconds >= _SLOW


def _unchanged(tree, tests):
    """Run tests on the unchanged package. Return also the seconds that they take at this moment."""
    started = time.monotonic()
    outcome, failed = tree.run({test.name: math.inf for test in tests})
    return outcome, failed, time.monotonic() - started


_NOT_RUN = Outcome.PASSED, [], 0.0


def judge_all(sampled, selection, report):
    """Judge mutants, two at a time, then one by one those that took too long.

    Args:
        sampled: the mutants.
        selection: the tests of each line.
        report: called with each mutant and its verdict.
    """
    with ExitStack() as stack:
        trees = [stack.enter_context(Tree()) for _ in range(_AT_ONCE)]
        run = Run(selection, trees)
        executor = stack.enter_context(ThreadPoolExecutor(_AT_ONCE))
        stack.callback(executor.shutdown, cancel_futures=True)
        stack.callback(lambda: [tree.close() for tree in trees])
        judged = {executor.submit(run.judge, mutant): mutant for mutant in sampled}
        slow = []
        for future in as_completed(judged):
            mutant, verdict = judged[future], future.result()
            if verdict is None:
                slow.append(mutant)
            else:
                report(mutant, verdict)
        for mutant in slow:
            report(mutant, run.judge(mutant, alone=True))


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=300, help="the number of mutants")
    parser.add_argument("--seed", type=int, default=1, help="chooses the sample")
    parser.add_argument("--only", nargs="*", default=[""], help="mutate files with these prefixes")
    parser.add_argument("--tests", nargs="*", help="test files to use; all by default")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    selection = Selection(given.tests)
    selected = time.monotonic()
    sources = {p: text for p, text in package_sources().items() if p.startswith((*given.only,))}
    sampled = sample(sources, given.sample, given.seed)
    survivors = []

    def report(mutant, verdict):
        place = f"{mutant.path}:{mutant.line}"
        if verdict.killed:
            print(f"killed {place} by {verdict.reason}", flush=True)
        else:
            survivors.append(mutant)
            print(f"SURVIVED {place}: {verdict.reason}\n{mutant.diff()}", flush=True)

    judge_all(sampled, selection, report)
    number, killed = len(sampled), len(sampled) - len(survivors)
    print(f"seconds: selection={selected - started:.0f} mutants={time.monotonic() - selected:.0f}")
    score = f"{100 * killed / number:.1f}%"
    print(f"mutants: sampled={number} killed={killed} survived={number - killed} score={score}")
    sys.exit(100 * killed < _LEAST_SCORE * number)


if __name__ == "__main__":
    main()
