"""The fake over TCP: stock clients, other processes, raw sockets."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyfaktory
import pytest

from faktory_unique import Client, Job, Producer
from faktory_unique.testing import FakeFaktory, sizes, wait_until_drained
from tests.patience import PATIENCE, wait_for

ROOT = Path(__file__).parents[2]

STOCK_WORKER = textwrap.dedent(
    """
    import pyfaktory
    from tests.testing import handlers

    if __name__ == "__main__":
        with pyfaktory.Client(role="consumer", worker_id="stock-worker") as client:
            consumer = pyfaktory.Consumer(client, queues=["default"], concurrency=2)
            consumer.register("note", handlers.note)
            consumer.register("fail", handlers.fail)
            consumer.run()
    """
)


@pytest.fixture
def listening():
    with FakeFaktory() as faktory:
        yield faktory


def connect(faktory):
    host, port = faktory.url.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)), PATIENCE)


def test_stock_consumer_in_another_process_runs_jobs(listening, tmp_path):
    notes = tmp_path / "notes"
    with pyfaktory.Client(listening.url) as client:
        producer = pyfaktory.Producer(client)
        producer.push(pyfaktory.Job(jobtype="fail", args=[]))
        producer.push_bulk(
            [pyfaktory.Job(jobtype="note", args=[str(notes), str(n)]) for n in range(5)]
        )
        worker = subprocess.Popen(
            [sys.executable, "-c", STOCK_WORKER],
            cwd=ROOT,
            env={**os.environ, "FAKTORY_URL": listening.url},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until_drained(client, ["default"], 20)
        finally:  # on a polite signal it would sleep until its next heartbeat
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(PATIENCE)
        assert sizes(client).retries == 1
    assert sorted(notes.read_text().split()) == ["0", "1", "2", "3", "4"]
    assert listening.retries[0]["failure"]["message"] == "boom"


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_child_process_reaches_it_over_tcp(listening, context):
    """A fork has a copy of the fake's memory, and must not push into that copy."""
    child = multiprocessing.get_context(context).Process(target=push, args=[listening.url])
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0
    assert [job["args"] for job in listening.jobs] == [["from a child"]]


def push(url):
    with Client(url) as client:
        assert Producer(client).push(Job(jobtype="Note", args=["from a child"]))


def test_commands_in_pieces_or_together_are_each_answered(listening):
    with connect(listening) as connection, connection.makefile("rb") as replies:
        assert replies.readline() == b'+HI {"v":2}\r\n'
        for piece in (b"HEL", b'LO {"v":', b"2}\r", b"\n"):
            connection.sendall(piece)
            time.sleep(0.01)
        assert replies.readline() == b"+OK\r\n"
        connection.sendall(b"FLUSH\r\nFOO\nFLUSH\r\nQUEUE")
        assert [replies.readline() for _ in range(3)] == [
            b"+OK\r\n",
            b"-ERR unknown command FOO\r\n",
            b"+OK\r\n",
        ]


def test_close_ends_connections_and_threads_at_once():
    """It does not wait for the two seconds of FETCH."""
    took = []
    while min(took, default=2) > 1 and len(took) < 10:  # a busy machine can take longer
        took.append(close_during_fetch())
    assert min(took) < 1


def close_during_fetch():
    """Close a fake that a client waits for. Return the seconds that it took."""
    faktory = FakeFaktory()
    faktory.listen()
    with connect(faktory) as connection:
        connection.sendall(b'HELLO {"v":2}\r\nFETCH default\r\n')
        wait_for(lambda: faktory._core.command_count == 1)
        since = time.monotonic()
        faktory.close()
        took = time.monotonic() - since
        answered = b"".join(iter(lambda: connection.recv(100), b""))
    assert answered.startswith(b'+HI {"v":2}\r\n+OK\r\n')
    with pytest.raises(ConnectionRefusedError):
        connect(faktory)
    return took


def test_two_fakes_share_nothing(listening):
    with FakeFaktory() as other:
        push(other.url)
        assert (len(other.jobs), len(listening.jobs)) == (1, 0)
        assert other.url != listening.url
