"""Platforms without `poll`: a program that eventlet has patched, and Windows."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from faktory_unique import Client, Consumer, Producer
from faktory_unique.testing import LocalConsumer
from faktory_unique.worker import consumer_run
from tests.conftest import need

ROOT = Path(__file__).parents[2]
# Not among the other packages: sentry-sdk imports it if it is there, and it warns of each fork.
EVENTLET = Path(sys.prefix, "eventlet")

PATCHES = {
    "eventlet": """
        import eventlet

        eventlet.monkey_patch()
    """,
    "select alone": """
        import select

        del select.poll, select.epoll
    """,
}

PROGRAM = """
    import selectors
    import sys
    import threading
    import time

    from faktory_unique import Client, Consumer, Job, Policy, Producer, Unique
    from tests.integration import handlers

    assert not hasattr(selectors, "PollSelector")
    url, store, path = sys.argv[1:]
    with (
        Unique(store, default=Policy()) as unique,
        Client(url) as client,
        Client(url, role="consumer") as consuming,
    ):
        producer = Producer(client, middleware=[unique])
        consumer = Consumer(consuming, middleware=[unique], concurrency=2)
        consumer.register("Unique.note", handlers.note)
        job = Job(jobtype="Unique.note", args=[path])
        pushed = [bool(producer.push(job)), bool(producer.push(job))]
        thread = threading.Thread(target=consumer.run)
        thread.start()
        deadline = time.monotonic() + 30
        while any(unique.locks()) and time.monotonic() < deadline:
            time.sleep(0.05)
        consumer.stop()
        thread.join()
        print(pushed, list(unique.locks()))
"""


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_job_is_pushed_and_run_without_poll(patch, faktory_url, redis_url, notes):
    """The lock of the job is acquired, found by a second push, and released after its run."""
    if "eventlet" in patch:
        need(None if EVENTLET.is_dir() else "no eventlet: run `make .venv/.installed`")
    program = textwrap.dedent(patch) + textwrap.dedent(PROGRAM)
    ended = subprocess.run(
        [sys.executable, "-c", program, faktory_url, redis_url, notes.path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(EVENTLET)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.stdout == "[True, False] []\n", ended.stderr
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    assert notes() == ["ran"]


def test_consumer_on_windows_says_at_once_that_it_does_not_run(monkeypatch):
    client = Client("tcp://localhost", role="both")
    monkeypatch.setattr(consumer_run.sys, "platform", "win32")
    with pytest.raises(NotImplementedError, match="Consumer does not run on Windows"):
        Consumer(client)
    assert LocalConsumer(client)
    assert Producer(client)
