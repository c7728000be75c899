"""The demo, as a user starts it."""

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
def test_it_does_the_main_job_and_leaves_nothing(faktory_url, redis_url, by_environment, sizes):
    if by_environment:
        ended = demo(
            how=(sys.executable, "-m", "faktory_unique"),
            FAKTORY_URL=faktory_url,
            FAKTORY_UNIQUE_STORE=redis_url,
        )
    else:
        ended = demo("--faktory", faktory_url, "--store", redis_url)
    assert (ended.returncode, ended.stderr) == (0, "")
    last = ended.stdout.splitlines()[-1]
    counted = re.fullmatch(r"demo: pushed=(\d+) duplicates=(\d+) executed=(\d+) locks_left=0", last)
    pushed, duplicates, executed = map(int, counted.groups())
    assert pushed == executed > 0
    assert duplicates > 0
    assert redis.Redis.from_url(redis_url).dbsize() == 0
    assert sizes("enqueued") == sizes("retries") == sizes("working") == 0


def test_each_push_stands_in_the_table_with_what_became_of_it(faktory_url, redis_url):
    ended = demo("--faktory", faktory_url, "--store", redis_url)
    for what, outcome in [
        ("single", "pushed"),
        ("single again", "duplicate"),
        ("bulk [3]", "duplicate"),
        ("while it runs", "duplicate"),
        ("after its ACK", "pushed"),
    ]:
        assert re.search(rf"^ ?{re.escape(what)} .*{outcome}", ended.stdout, re.MULTILINE), what


def test_pointed_at_no_server_it_brings_its_own_in_memory():
    ended = demo(PATH="")
    assert (ended.returncode, ended.stderr) == (0, "")
    said = ended.stdout.splitlines()
    assert said[0] == "demo: on a Faktory and a store in memory, since it was pointed at none"
    assert said[-1] == "demo: pushed=7 duplicates=5 executed=7 locks_left=0"


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (("--store", "redis://127.0.0.1:1/0"), "--faktory (or FAKTORY_URL)"),
        (("--faktory", "tcp://127.0.0.1:1"), "--store (or FAKTORY_UNIQUE_STORE)"),
    ],
)
def test_pointed_at_one_server_alone_it_asks_for_the_other(options, missing):
    ended = demo(*options)
    assert ended.returncode == 2
    assert missing in ended.stderr


def test_a_server_that_is_not_there_is_one_line_and_no_traceback(redis_url):
    ended = demo("--faktory", "tcp://127.0.0.1:1", "--store", redis_url)
    assert ended.returncode == 1
    assert ended.stderr.startswith("demo: no connection to Faktory at 127.0.0.1:1")
    assert "Traceback" not in ended.stderr


def test_a_url_that_is_none_is_one_line_and_no_traceback():
    ended = demo("--faktory", "http://127.0.0.1:1", "--store", "memory://")
    assert ended.returncode == 1
    assert ended.stderr.startswith("demo: faktory_url: ")
    assert "Traceback" not in ended.stderr


def test_without_arguments_the_command_shows_its_help():
    ended = subprocess.run([COMMAND], capture_output=True, text=True, check=False)
    assert "demo" in ended.stdout + ended.stderr
    assert shutil.which(COMMAND)
