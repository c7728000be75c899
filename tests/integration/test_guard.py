"""`scripts.servers.guard`: whatever ends a run, nothing that it has started outlives it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from scripts.servers import is_running, missing_faktory, missing_redis
from tests.conftest import need
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.faktory,
    pytest.mark.redis,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the guard needs Linux"),
]

# Starts both servers, and a child in a session of its own with one in its turn; prints all pids.
RUN = textwrap.dedent(
    """
    import json, os, subprocess, sys, time
    from pathlib import Path
    from scripts.servers import FaktoryServer, RedisServer, guard_children

    guard_children()
    folder = Path(sys.argv[1])
    child = subprocess.Popen(
        ["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True
    )
    pids = [os.getpid(), child.pid, int(child.stdout.readline())]
    with RedisServer(folder / "redis") as redis, FaktoryServer(folder / "faktory") as faktory:
        print(json.dumps([*pids, redis.pid, faktory.pid, faktory.storage_pid]), flush=True)
        if sys.argv[2:] != ["ends"]:
            time.sleep(600)
    """
)


@pytest.fixture
def start(tmp_path):
    """`start(*words)` starts a command; it returns its process and the pids that it prints."""
    need(missing_redis() or missing_faktory())
    processes = []

    def start(*words):
        process = subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        processes.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_killed_run_leaves_no_process(start, tmp_path, wait_for, number):
    process, pids = start(sys.executable, "-c", RUN, str(tmp_path))
    assert all(map(is_running, pids))
    process.send_signal(number)
    process.wait(PATIENCE)
    wait_for(lambda: not any(map(is_running, pids)))


def test_killed_group_leaves_no_process(start, tmp_path, wait_for):
    """`timeout -s KILL` and a CI system kill the whole group of a run."""
    process, pids = start(sys.executable, "-c", RUN, str(tmp_path))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
    wait_for(lambda: not any(map(is_running, pids)))


def test_run_that_ends_leaves_no_process(start, tmp_path, wait_for):
    """Its child would run for ten minutes."""
    process, pids = start(sys.executable, "-c", RUN, str(tmp_path), "ends")
    assert process.wait(PATIENCE) == 0
    wait_for(lambda: not any(map(is_running, pids)))


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_run_ends_with_the_make_that_started_it(start, tmp_path, wait_for):
    """The outer `make` is killed, and does not tell the inner one."""
    (tmp_path / "run.py").write_text(RUN)
    (tmp_path / "Makefile").write_text(
        "outer:\n\t@$(MAKE) -s -f $(firstword $(MAKEFILE_LIST)) inner\n"
        f"inner:\n\t@PYTHONPATH={ROOT} {sys.executable} {tmp_path}/run.py {tmp_path}\n"
    )
    process, pids = start("make", "-s", "-f", str(tmp_path / "Makefile"))
    process.kill()
    process.wait(PATIENCE)
    wait_for(lambda: not any(map(is_running, pids)))
