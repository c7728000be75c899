"""The article's "Option 3: Integration Testing Against Real Faktory", and its FaktoryHelpers.

Each test runs on a `FakeFaktory` over TCP, and on a real Faktory if one is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyfaktory
import pytest

from faktory_unique import Client
from faktory_unique.testing import (
    LocalConsumer,
    inline,
    running_consumer,
    sizes,
    wait_until_drained,
)
from tests.article.app import notify
from tests.patience import wait_for

WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def client(server_url):
    """pyfaktory's client, which opens a socket to the fake as well."""
    with pyfaktory.Client(server_url) as connected:
        yield connected


@pytest.fixture
def push(client):
    """Push an email notification, like an application without faktory_unique."""
    producer = pyfaktory.Producer(client)
    return lambda *args: producer.push(pyfaktory.Job(jobtype="EmailNotification", args=[*args]))


@pytest.fixture
def consumer(server_url, app):
    """A worker in this process, so that the test sees its effects."""
    with Client(server_url, role="consumer", worker_id="article-worker") as connected:
        new = LocalConsumer(connected)
        new.register("EmailNotification", app.email_notification)
        yield new


class TestWaitForJobs:
    """def wait_for_jobs(worker_class, timeout: 10)."""

    def test_returns_when_no_jobs_are_left(self, client, push, consumer, app, user):
        with running_consumer(consumer):
            push(user.id, "welcome")
            push(user.id, "invoice")
            wait_until_drained(client, ["default"])
            assert app.email_log == [(user.id, "welcome"), (user.id, "invoice")]

    def test_times_out_without_a_worker(self, client, push, user):
        push(user.id, "welcome")
        with pytest.raises(TimeoutError, match="default 1, working 0"):
            wait_until_drained(client, ["default"], timeout=0.2)

    def test_waits_for_the_effect_of_a_job(self, push, consumer, app, user):
        with running_consumer(consumer):
            push(user.id, "welcome")
            assert wait_for(lambda: app.mailer.sent)[0].to == "alice@example.com"

    def test_does_not_wait_for_a_retry(self, client, push, consumer, user):
        with running_consumer(consumer):
            push(user.id, "nonexistent")
            wait_until_drained(client, ["default"])
        assert sizes(client).retries == 1


def test_worker_process_runs_the_job(server_url, client, push, tmp_path):
    """As deployed: the producer and the worker are two processes (`run_faktory_worker`)."""
    outbox = tmp_path / "outbox"
    command = [sys.executable, str(WORKER), str(outbox)]
    with subprocess.Popen(command, env={**os.environ, "FAKTORY_URL": server_url}) as worker:
        try:
            push(42, "welcome")
            wait_until_drained(client, ["default"])
        finally:
            worker.terminate()
    assert worker.returncode == 0
    assert outbox.read_text(encoding="utf-8") == "welcome to 42\n"


def test_inline_worker_needs_no_server(app, user):
    """def run_faktory_worker(worker_class, &block), with `inline!`."""
    consumer = LocalConsumer(Client("tcp://nowhere.invalid:7419", role="consumer"))
    consumer.register("EmailNotification", app.email_notification)
    with inline(consumer):
        notify(user.id, "welcome")
        assert app.email_log == [(user.id, "welcome")]
