"""Replies that Faktory would not send: each costs only its own command."""

from __future__ import annotations

import json
import logging

import pytest

from faktory_unique import Client, CommandOutcomeUnknown
from faktory_unique.testing import LocalConsumer, running_consumer
from tests.integration.peer import Peer, answering, connected
from tests.integration.scripted import ScriptedServer, bulk

JOB = {"jid": "jid-00000001", "jobtype": "Odd", "args": [1], "queue": "default", "retry": 25}


@pytest.mark.parametrize(
    "odd",
    [b"+OK\r\n", *(bulk(json.dumps(v)) for v in ("x", 5, [JOB], {}, {**JOB, "jid": None}))],
    ids=repr,
)
def test_fetched_json_that_is_no_job_costs_no_other_job(odd, caplog, wait_for):
    """It is logged, and the job after it runs."""
    replies = [odd, bulk(json.dumps(JOB))]

    def script(peer):
        for command in peer:
            fetches = command.startswith("FETCH")
            peer.send((replies.pop(0) if replies else b"$-1\r\n") if fetches else b"+OK\r\n")

    ran = []
    with ScriptedServer(script) as server, Client(server.url, role="consumer") as client:
        consumer = LocalConsumer(client)
        consumer.register("Odd", ran.append)
        with caplog.at_level(logging.WARNING), running_consumer(consumer):
            wait_for(lambda: server.reports() == ["ACK jid-00000001"])
    assert ran == [1]
    [line] = [r.getMessage() for r in caplog.records if "FETCH failed" in r.getMessage()]
    assert "reply to FETCH is" in line


def test_heartbeat_survives_an_odd_reply(wait_for, monkeypatch):
    monkeypatch.setattr("faktory_unique.client.client._MIN_BEAT_PERIOD", 0)

    def script(peer):
        for _ in peer:
            peer.send(bulk("[]"))

    with (
        ScriptedServer(script) as server,
        Client(server.url, role="consumer", beat_period=0.01),
    ):
        wait_for(lambda: server.count("BEAT") > 2)


def test_endless_line_costs_one_command_and_no_memory():
    """The server sends up to 1 GB without a line end; the next command reconnects."""
    sent = []

    def flood(peer, conn):
        peer.greet(conn)
        peer.receive(conn)
        try:
            for _ in range(1_000):
                conn.sendall(b"x" * 1_000_000)
                sent.append(1_000_000)
        except OSError:
            pass

    peer = Peer(flood, answering(bulk("{}")))
    with connected(peer, timeout=30) as client:
        with pytest.raises(CommandOutcomeUnknown, match="longer than 65536 bytes"):
            client._commands.push_batch([])
        assert client._commands.push_batch([]) == {}
    assert sum(sent) < 50_000_000  # the buffers of both sockets
