"""`faktory-unique demo`, started as a user starts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

COMMAND = str(Path(sys.executable).with_name("faktory-unique"))


def demo(*options, how=(COMMAND,), **environment):
    clean = {n: v for n, v in os.environ.items() if not n.startswith("FAKTORY_")}
    return subprocess.run(
        [*how, "demo", *options],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize("by_environment", [False, True])
def test_the_demo_does_the_main_job_and_leaves_nothing(
    faktory_url, redis_url, by_environment, sizes
):
    if by_environment:
        completed = demo(
            how=(sys.executable, "-m", "faktory_unique"),
            FAKTORY_URL=faktory_url,
            FAKTORY_UNIQUE_STORE=redis_url,
        )
    else:
        completed = demo("--faktory", faktory_url, "--store", redis_url)
    assert (completed.returncode, completed.stderr) == (0, "")
    last = completed.stdout.splitlines()[-1]
    counted = re.fullmatch(r"demo: pushed=(\d+) duplicates=(\d+) executed=(\d+) locks_left=0", last)
    pushed, duplicates, executed = map(int, counted.groups())
    assert pushed == executed > 0
    assert duplicates > 0
    assert redis.Redis.from_url(redis_url).dbsize() == 0
    assert sizes("enqueued") == sizes("retries") == sizes("working") == 0


def test_the_table_has_each_push_and_its_result(faktory_url, redis_url):
    completed = demo("--faktory", faktory_url, "--store", redis_url)
    for label, status in [
        ("single", "pushed"),
        ("single again", "duplicate"),
        ("bulk [3]", "duplicate"),
        ("while it runs", "duplicate"),
        ("after its ACK", "pushed"),
    ]:
        row = rf"^ ?{re.escape(label)} .*{status}"
        assert re.search(row, completed.stdout, re.MULTILINE), label


def test_without_servers_the_demo_uses_its_own_in_memory():
    completed = demo(PATH="")
    assert (completed.returncode, completed.stderr) == (0, "")
    lines = completed.stdout.splitlines()
    assert lines[0] == "demo: no servers given, using a Faktory and a store in memory"
    assert lines[-1] == "demo: pushed=7 duplicates=5 executed=7 locks_left=0"


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (("--store", "redis://127.0.0.1:1/0"), "--faktory (or FAKTORY_URL)"),
        (("--faktory", "tcp://127.0.0.1:1"), "--store (or FAKTORY_UNIQUE_STORE)"),
    ],
)
def test_with_one_server_the_demo_asks_for_the_other(options, missing):
    completed = demo(*options)
    assert completed.returncode == 2
    assert missing in completed.stderr


def test_an_unreachable_server_is_one_line_without_traceback(redis_url):
    completed = demo("--faktory", "tcp://127.0.0.1:1", "--store", redis_url)
    assert completed.returncode == 1
    assert completed.stderr.startswith("demo: no connection to Faktory at 127.0.0.1:1")
    assert "Traceback" not in completed.stderr


def test_a_wrong_url_is_one_line_without_traceback():
    completed = demo("--faktory", "http://127.0.0.1:1", "--store", "memory://")
    assert completed.returncode == 1
    assert completed.stderr.startswith("demo: faktory_url: ")
    assert "Traceback" not in completed.stderr


def test_without_arguments_the_command_shows_its_help():
    completed = subprocess.run([COMMAND], capture_output=True, text=True, check=False)
    assert "demo" in completed.stdout + completed.stderr
    assert shutil.which(COMMAND)
