"""Command `faktory-unique demo`, as a user starts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.patience import PATIENCE

COMMAND = str(Path(sys.executable).with_name("faktory-unique"))


def run_demo(*options, command=(COMMAND,), **environment):
    clean = {n: v for n, v in os.environ.items() if not n.startswith("FAKTORY_")}
    return subprocess.run(
        [*command, "demo", *options],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("by_environment", [False, True])
def test_demo_runs_the_main_job_and_leaves_no_lock(faktory_url, redis_url, by_environment, sizes):
    if by_environment:
        ended = run_demo(
            command=(sys.executable, "-m", "faktory_unique"),
            FAKTORY_URL=faktory_url,
            FAKTORY_UNIQUE_STORE=redis_url,
        )
    else:
        ended = run_demo("--faktory", faktory_url, "--store", redis_url)
    assert (ended.returncode, ended.stderr) == (0, "")
    last = ended.stdout.splitlines()[-1]
    counts = re.fullmatch(r"demo: pushed=(\d+) duplicates=(\d+) executed=(\d+) locks_left=0", last)
    pushed, duplicates, executed = map(int, counts.groups())
    assert pushed == executed > 0
    assert duplicates > 0
    assert redis.Redis.from_url(redis_url).dbsize() == 0
    assert sizes("enqueued") == sizes("retries") == sizes("working") == 0


def test_demo_lists_each_push_with_its_result(faktory_url, redis_url):
    ended = run_demo("--faktory", faktory_url, "--store", redis_url)
    for push, result in [
        ("single", "pushed"),
        ("single again", "duplicate"),
        ("bulk [3]", "duplicate"),
        ("while it runs", "duplicate"),
        ("after its ACK", "pushed"),
    ]:
        assert re.search(rf"^ ?{re.escape(push)} .*{result}", ended.stdout, re.MULTILINE), push


def test_demo_without_addresses_runs_in_memory():
    ended = run_demo(PATH="")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0] == "demo: no servers given, using a Faktory and a store in memory"
    assert lines[-1] == "demo: pushed=7 duplicates=5 executed=7 locks_left=0"


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (("--store", "redis://127.0.0.1:1/0"), "--faktory (or FAKTORY_URL)"),
        (("--faktory", "tcp://127.0.0.1:1"), "--store (or FAKTORY_UNIQUE_STORE)"),
    ],
)
def test_demo_with_one_address_requires_the_other(options, missing):
    ended = run_demo(*options)
    assert ended.returncode == 2
    assert missing in ended.stderr


def test_demo_reports_a_missing_server_in_one_line(redis_url):
    ended = run_demo("--faktory", "tcp://127.0.0.1:1", "--store", redis_url)
    assert ended.returncode == 1
    assert ended.stderr.startswith("demo: no connection to Faktory at 127.0.0.1:1")
    assert "Traceback" not in ended.stderr


def test_demo_reports_an_invalid_url_in_one_line():
    ended = run_demo("--faktory", "http://127.0.0.1:1", "--store", "memory://")
    assert ended.returncode == 1
    assert ended.stderr.startswith("demo: faktory_url: ")
    assert "Traceback" not in ended.stderr


def test_command_without_arguments_shows_its_help():
    ended = subprocess.run([COMMAND], capture_output=True, text=True, check=False)
    assert "demo" in ended.stdout + ended.stderr
    assert shutil.which(COMMAND)
