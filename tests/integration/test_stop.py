"""A stop is bounded, whatever Faktory does: `disconnect`, and a worker's SIGTERM."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from faktory_unique import (
    Client,
    CommandNotSent,
    CommandOutcomeUnknown,
    Consumer,
    Job,
    Producer,
)
from tests.integration.conftest import SPAWN
from tests.integration.scripted import ScriptedServer

GRACE = 2
BUSY_MACHINE = 12  # more seconds than a stop may take, fewer than a time-out of 30

WORKER = textwrap.dedent(
    f"""
    import sys
    from faktory_unique import Client, Consumer
    from tests.integration import handlers

    with Client(sys.argv[1], role="consumer", beat_period=5) as client:
        consumer = Consumer(client, concurrency=3, grace_period={GRACE})
        consumer.register("Unique.note_slowly", handlers.note_slowly)
        print("ready", flush=True)
        consumer.run()
    """
)


def test_worker_stops_although_faktory_hangs(new_faktory, notes, wait_for):
    """FETCH, the ACK of one job and the requeue of another get no reply."""
    server = new_faktory()
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, server.url], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout.readline() == "ready\n"
    with Client(server.url) as client:
        for seconds in (1, 60):
            job = Job(jobtype="Unique.note_slowly", args=[notes.path, seconds])
            Producer(client).push(job)
    wait_for(lambda: len(notes()) == 2)
    server.pause()
    wait_for(lambda: len(notes()) == 3)
    since = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=90)
    elapsed = time.monotonic() - since
    server.resume()
    assert worker.returncode == 0
    assert elapsed < GRACE + 5 + BUSY_MACHINE


def test_disconnect_breaks_off_commands_that_hang(new_faktory):
    """One thread waits for a reply, the others for their turn. None reconnects."""
    server = new_faktory()
    client = Client(server.url, timeout=60)
    client.connect()
    server.pause()
    raised = []

    def push():
        try:
            client._commands.push_batch([])
        except (CommandNotSent, CommandOutcomeUnknown) as exc:
            raised.append(type(exc))

    threads = [threading.Thread(target=push) for _ in range(3)]
    for each in threads:
        each.start()
    time.sleep(0.5)
    client.disconnect()
    for each in threads:
        each.join(30)
        assert not each.is_alive()
    server.resume()
    assert sorted(raised, key=str) == [CommandNotSent, CommandNotSent, CommandOutcomeUnknown]


def test_disconnect_breaks_off_a_login_that_hangs():
    """The server accepts the connection, and does not greet."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        client = Client(f"tcp://127.0.0.1:{port}", timeout=60)
        raised = []

        def connect():
            with pytest.raises(CommandNotSent) as caught:
                client.connect()
            raised.append(caught.value)

        thread = threading.Thread(target=connect)
        thread.start()
        listening.accept()[0].detach()
        time.sleep(0.2)
        client.disconnect()
        thread.join(30)
        assert not thread.is_alive()
        assert len(raised) == 1


def test_disconnect_waits_for_a_command_that_ends_soon(monkeypatch):
    monkeypatch.setattr("faktory_unique.client.client._DISCONNECT_SECONDS", 20)

    def script(peer):
        for _ in peer:
            time.sleep(0.2)
            peer.send(b"$2\r\n{}\r\n")

    with ScriptedServer(script) as server, Client(server.url) as client:
        pending = client._commands.send("PUSHB []")
        client.disconnect()
        assert pending.receive() == "$2\r\n{}"


def test_disconnect_breaks_off_a_reply_that_drips():
    def script(peer):
        for _ in peer:
            peer.send(b"$99\r\n{}")

    with ScriptedServer(script) as server, Client(server.url, timeout=60) as client:
        pending = client._commands.send("PUSHB []")
        client.disconnect()
        with pytest.raises(CommandOutcomeUnknown):
            pending.receive()


def test_job_that_arrives_during_the_shutdown_is_requeued(faktory_url, wait_for, sizes):
    """FETCH was in flight at the stop, and there is no grace period: the job cannot run."""
    with (
        Client(faktory_url) as client,
        Client(faktory_url, role="consumer", worker_id="late-worker") as consuming,
    ):
        consumer = Consumer(consuming, concurrency=1, grace_period=0, context=SPAWN)
        consumer.register("Late", print)
        thread = threading.Thread(target=consumer.run)
        thread.start()
        wait_for(lambda: consuming._fetch_commands.connection._shared_stream().unread)
        consumer.stop()
        time.sleep(0.2)
        Producer(client).push(Job(jobtype="Late", args=[]))
        thread.join(30)
        assert not thread.is_alive()
        wait_for(lambda: sizes("working") == 0)
    assert (sizes("working"), sizes("enqueued"), sizes("retries")) == (0, 1, 0)
