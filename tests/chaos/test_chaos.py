"""A short chaos run, as anybody would start it."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest

from scripts.servers import missing_faktory, missing_redis
from tests.chaos.conftest import Run
from tests.conftest import need

# 15 s of faults; then, at the very most, what is reserved runs out (90), waits for its second retry
# (84) and its first (54), and for its turn (45), and the longest lock runs out (194): with the ends
# of processes, 10 min.
LONGEST = 600

LAST_LINE = re.compile(
    r"chaos: pushes=\d+ accepted=[1-9]\d* executed=[1-9]\d* faults=[1-9]\d* lost=0 "
    r"overlaps=(\d+) explained=\1 orphans=0"
    r"( superseded=[1-9]\d*)?( excluded=[1-9]\d*)?( gone_with_faktory=\d+)?"
)


@pytest.fixture
def servers():
    """Asked for before what needs them: skips, or fails on CI, where they are missing."""
    need(missing_redis() or missing_faktory())


@pytest.fixture
def chaos():
    """`chaos(*arguments)`: a run, which is ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            run = Run(*arguments)
            stack.callback(run.end)
            return run

        yield start


@pytest.mark.faktory
@pytest.mark.redis
@pytest.mark.timeout(LONGEST + 60)
def test_a_short_run_loses_no_job_and_leaves_no_lock_and_explains_each_overlap(servers, short_run):
    status, lines = short_run.result(LONGEST)
    said = "\n".join(lines)
    assert LAST_LINE.fullmatch(lines[-1]), said
    assert status == 0, said


def test_the_plan_can_be_read(chaos):
    status, lines = chaos("--plan", "--seconds", "60", "--seed", "1").result(30)
    assert status == 0
    assert len(lines) > 50
    assert all(re.fullmatch(r" *\d+\.\d{3} s  \w+ of \w+.*", line) for line in lines)


@pytest.mark.faktory
@pytest.mark.redis
def test_interrupted_it_ends_all_that_it_has_started(servers, chaos, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run = chaos("--seconds", "30", "--seed", "4")
    with pytest.raises(subprocess.TimeoutExpired):
        run.result(8)
    assert [command for command in commands() if str(tmp_path) in command]
    run.end()
    assert not [command for command in commands() if str(tmp_path) in command]


def commands():
    """The command lines and environments of all processes: both name the run's folder."""
    for process in Path("/proc").glob("[0-9]*"):
        for file in ("cmdline", "environ"):
            try:
                text = (process / file).read_bytes().decode(errors="replace")
            except OSError:
                continue
            if process.name not in {"self", str(Path("/proc/self").resolve().name)}:
                yield text
