"""The self-test of the chaos run: its bugs can be planted, and a few of them are found."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scripts.servers import missing_faktory, missing_redis
from tests.chaos.bugs import BUG_VARIABLE, BUGS, planted_bug
from tests.chaos.conftest import REPOSITORY
from tests.chaos.selftest import DAMAGE, Result, row
from tests.chaos.trials import TRIAL_VARIABLE, TRIALS, current_workload
from tests.chaos.workload import Workload
from tests.conftest import need

# Each of these trials is over as soon as the bug is found. There are two tries for each.
QUICK_BUGS = ("confirm_overwrites", "rolled_back_though_unknown", "released_before_ack")
LONGEST_SECONDS = 600


@pytest.mark.parametrize("name", BUGS)
def test_bug_replaces_its_targets_while_planted(monkeypatch, name):
    def attributes():
        return [getattr(owner, attribute) for owner, attribute in BUGS[name].targets]

    monkeypatch.setenv(BUG_VARIABLE, name)
    original = attributes()
    with planted_bug():
        assert all(a is not b for a, b in zip(attributes(), original, strict=True))
    assert attributes() == original


def test_no_bug_is_planted_by_default(monkeypatch):
    monkeypatch.delenv(BUG_VARIABLE, raising=False)
    with planted_bug():
        pass


def test_each_trial_finds_a_bug():
    assert {bug.trial for bug in BUGS.values()} == set(TRIALS)
    assert {bug.damage for bug in BUGS.values()} <= set(DAMAGE)


def test_process_has_the_workload_of_its_trial(monkeypatch):
    monkeypatch.setenv(TRIAL_VARIABLE, "slow_bulk")
    assert current_workload() is TRIALS["slow_bulk"].workload
    monkeypatch.setenv(TRIAL_VARIABLE, "")
    assert current_workload() == Workload()


@pytest.mark.parametrize(
    ("bug", "is_right", "verdict"),
    [
        ("no_lease", True, "found"),
        ("no_lease", False, "NOT FOUND"),
        ("", True, "green"),
        ("", False, "RED"),
    ],
)
def test_table_has_the_verdict_of_each_run(bug, is_right, verdict):
    line = row(Result(bug, "slow_push", "unexplained overlap", 12.3, is_right))
    assert f"  {verdict} " in line


@pytest.mark.faktory
@pytest.mark.redis
@pytest.mark.long
def test_selftest_finds_planted_bugs():
    """These bugs need a race that faults left to chance do not meet."""
    need(missing_redis() or missing_faktory())
    command = [sys.executable, "-m", "tests.chaos.selftest", "--only-bugs", "--jobs", "3"]
    ended = subprocess.run(
        [*command, *QUICK_BUGS],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"bugs={len(QUICK_BUGS)} found={len(QUICK_BUGS)} " in ended.stdout
