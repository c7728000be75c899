"""Command line of the chaos run: a short run on real servers, the plan, and Ctrl-C."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest

from scripts.servers import missing_faktory, missing_redis
from tests.chaos.conftest import ChaosProcess
from tests.conftest import need

# 15 s of faults. Then, at most: reservations expire (90), the second retry (84) and the first (54)
# are due, a blocked job waits (45), and the longest lock expires (194). With the time in which
# processes end: 10 min.
LONGEST_SECONDS = 600

LAST_LINE = re.compile(
    r"chaos: pushes=\d+ accepted=[1-9]\d* executed=[1-9]\d* faults=[1-9]\d* lost=0 "
    r"overlaps=(\d+) explained=\1 orphans=0"
    r"( superseded=[1-9]\d*)?( run_blocked=[1-9]\d*)?( gone_with_faktory=\d+)?"
)


@pytest.fixture
def servers():
    """Skip the test if servers are missing, or fail on CI; ask for it before other fixtures."""
    need(missing_redis() or missing_faktory())


@pytest.fixture
def chaos():
    """`chaos(*arguments)` starts a run, which is ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            run = ChaosProcess(*arguments)
            stack.callback(run.end)
            return run

        yield start


@pytest.mark.faktory
@pytest.mark.redis
@pytest.mark.long
def test_short_run_passes_the_audit(servers, chaos):
    """No job is lost, no lock is left, and each overlap is explained."""
    status, lines = chaos("--seconds", "15", "--seed", "4").result(LONGEST_SECONDS)
    output = "\n".join(lines)
    assert LAST_LINE.fullmatch(lines[-1]), output
    assert status == 0, output


def test_plan_option_prints_the_faults(chaos):
    status, lines = chaos("--plan", "--seconds", "60", "--seed", "1").result(30)
    assert status == 0
    assert len(lines) > 50
    assert all(re.fullmatch(r" *\d+\.\d{3} s  \w+ of \w+.*", line) for line in lines)


@pytest.mark.faktory
@pytest.mark.redis
def test_interrupted_run_ends_all_its_processes(servers, chaos, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run = chaos("--seconds", "30", "--seed", "4")
    with pytest.raises(subprocess.TimeoutExpired):
        run.result(8)
    assert [command for command in commands() if str(tmp_path) in command]
    run.end()
    assert not [command for command in commands() if str(tmp_path) in command]


def commands():
    """Yield the command line and environment of each process; both name the run's folder."""
    for process in Path("/proc").glob("[0-9]*"):
        for file in ("cmdline", "environ"):
            try:
                text = (process / file).read_bytes().decode(errors="replace")
            except OSError:
                continue
            if process.name not in {"self", str(Path("/proc/self").resolve().name)}:
                yield text
