"""A push to a Faktory that accepts no commands for now was not sent: it can be pushed again."""

from __future__ import annotations

import os
import signal
import uuid

import pytest

from faktory_unique import (
    Client,
    CommandNotSent,
    Job,
    Producer,
    PushNotSent,
    PushStatus,
)
from tests.integration.peer import Peer, answering, connected

REFUSALS = [b"-ERR shutdown in progress\r\n", b"-ERR too many connections: 2001\r\n"]


def push_until_the_shutdown(server, unique):
    """Push lists while Faktory gets SIGTERM. Return the first error."""
    with Client(server.url) as client:
        producer = Producer(client, middleware=[unique])
        os.kill(server.pid, signal.SIGTERM)
        for _ in range(10_000):
            args = uuid.uuid4().hex
            try:
                producer.push_bulk([Job(jobtype="Unique.stop", args=[args, n]) for n in range(100)])
            except PushNotSent as exc:
                return exc
    raise AssertionError("Faktory did not stop")


def test_jobs_pushed_during_a_shutdown_are_not_sent(new_faktory, unique, locks):
    """Faktory refuses commands for a tenth of a second before it ends."""
    server = new_faktory()
    for _ in range(5):  # it can end before it has read the first list
        error = push_until_the_shutdown(server, unique)
        if "shutdown in progress" in str(error):
            break
        server.restart()
    assert "shutdown in progress" in str(error)
    assert [result.status for result in error.results] == [PushStatus.NOT_SENT] * 100
    keys = {result.key for result in error.results}
    assert len(keys) == 100
    assert keys.isdisjoint(locks())


@pytest.mark.parametrize("refusal", REFUSALS)
def test_push_that_is_refused_for_now_can_be_repeated(refusal, unique, locks):
    peer = Peer(answering(refusal), answering(b"$2\r\n{}\r\n"))
    with connected(peer) as client:
        producer = Producer(client, middleware=[unique])
        job = Job(jobtype="Unique.stop", args=[0])
        with pytest.raises(PushNotSent):
            producer.push(job)
        assert locks() == {}
        assert producer.push(job)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_command_that_is_refused_for_now_is_not_sent(refusal):
    with connected(Peer(answering(refusal))) as client, pytest.raises(CommandNotSent):
        client._commands.call("INFO")
