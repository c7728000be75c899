"""HI and HELLO: what a greeting may ask for, and which errors end a worker."""

from __future__ import annotations

import json
import threading
import time
from hashlib import sha256

import pytest

from faktory_unique import AuthenticationFailed, Client, CommandNotSent, Job
from faktory_unique.client import handshake
from faktory_unique.testing import LocalConsumer, running_consumer
from tests.integration.load_balancer import LoadBalancer
from tests.integration.peer import Peer

PASSWORD = "s3cret"
MOST = 100_000  # hashes


def hi(**fields):
    return f"+HI {json.dumps({'v': 2, **fields})}\r\n".encode()


def greet_once(greeting, password=PASSWORD, **options):
    """Connect to a server with this greeting. Return the server, and the error."""

    def script(peer, conn):
        conn.sendall(greeting)
        if greeting.endswith(b"\r\n") and peer.receive(conn) is not None:
            conn.sendall(b"+OK\r\n")

    peer = Peer(script)
    client = Client(peer.url.replace("//", f"//:{password}@"), **{"timeout": 5, **options})
    try:
        client.connect()
    except CommandNotSent as exc:
        return peer, exc
    finally:
        client.disconnect()
        peer.thread.join(5)
    return peer, None


NO_COUNTS = [0, -1, -(2**70), MOST + 1, 2**70, 1.0, True, False, "4000", None, []]


@pytest.mark.parametrize("count", NO_COUNTS, ids=repr)
def test_impossible_number_of_hashes_is_no_faktory(count):
    """With 0, HELLO would contain the password itself, in hexadecimal."""
    peer, error = greet_once(hi(i=count, s="salt"))
    assert peer.received == []
    assert "no Faktory greeting" in str(error)
    assert not isinstance(error, AuthenticationFailed)


@pytest.mark.parametrize("count", [1, 2, 999, 1_000, 1_001, 8_095, MOST])
def test_password_is_hashed_as_often_as_asked(count):
    peer, error = greet_once(hi(i=count, s="salt"))
    assert error is None
    digest = f"{PASSWORD}salt".encode()
    for _ in range(count):
        digest = sha256(digest).digest()
    assert json.loads(peer.received[0].removeprefix("HELLO "))["pwdhash"] == digest.hex()


def test_password_is_hashed_once_without_a_number():
    peer, error = greet_once(hi(s="salt"))
    assert error is None
    hello = json.loads(peer.received[0].removeprefix("HELLO "))
    assert hello["pwdhash"] == sha256(f"{PASSWORD}salt".encode()).hexdigest()


@pytest.mark.parametrize("salt", [5, None, ["salt"], {}], ids=repr)
def test_salt_that_is_no_text_is_no_faktory(salt):
    peer, error = greet_once(hi(i=4000, s=salt))
    assert peer.received == []
    assert "no Faktory greeting" in str(error)


def test_timeout_bounds_the_hashing_too(monkeypatch):
    """The clock passes the deadline between two hashes."""
    hashed = []

    def count(data):
        hashed.append(data)
        return sha256(data)

    monkeypatch.setattr("faktory_unique.client.handshake.sha256", count)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + len(hashed))
    with pytest.raises(TimeoutError):
        handshake._password_hash(PASSWORD, "salt", MOST, now + 1_500)
    assert len(hashed) == 2_000


ODD_GREETINGS = {
    "load balancer": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "another protocol": hi(v=3),
    "no version": b"+HI {}\r\n",
    "error": b"-ERR too busy\r\n",
    "plain password": hi(i=0, s="salt"),
    "garbage": b"\x16\x03\x01\x00\xff\r\n",
    "nothing": b"",
    "half a line": b"+HI {",
}


@pytest.mark.parametrize("greeting", ODD_GREETINGS.values(), ids=ODD_GREETINGS)
def test_first_connect_to_no_faktory_is_an_error_at_once(greeting):
    """A wrong port is found at the start, and not by a worker that tries for ever."""
    peer, error = greet_once(greeting)
    assert peer.received == []
    assert peer.url.removeprefix("tcp://") in str(error)
    assert not isinstance(error, AuthenticationFailed)


def test_login_refused_for_another_reason_is_not_final():
    def script(peer, conn):
        conn.sendall(hi())
        peer.receive(conn)
        conn.sendall(b"-ERR too many connections: 2001\r\n")

    with pytest.raises(CommandNotSent, match="too many connections: 2001") as caught:
        Client(Peer(script).url, timeout=5).connect()
    assert not isinstance(caught.value, AuthenticationFailed)


def test_odd_greetings_do_not_end_a_worker(faktory_server, producer, wait_for):
    """The server is away for a while, and its load balancer answers instead."""
    ran = []
    with (
        LoadBalancer(faktory_server.port) as balancer,
        Client(balancer.url, role="consumer", worker_id="balanced-worker") as client,
    ):
        consumer = LocalConsumer(client)
        consumer.register("Balanced", ran.append)
        with running_consumer(consumer):
            producer.push(Job(jobtype="Balanced", args=["before"]))
            wait_for(lambda: ran == ["before"])
            balancer.refuse([ODD_GREETINGS["load balancer"], hi(v=3), hi(i=0, s="salt")])
            time.sleep(2.5)  # the FETCH that was cut would take the job on the server
            wait_for(lambda: not balancer.greetings)
            producer.push(Job(jobtype="Balanced", args=["after"]))
            wait_for(lambda: ran == ["before", "after"])


@pytest.mark.parametrize("first", ["", "old"])
def test_password_that_changes_ends_a_worker(new_faktory, first):
    """The server starts again with another password, or with its first one."""
    server = new_faktory(password=first)
    with Client(server.url, role="consumer", worker_id="locked-out-worker") as client:
        consumer = LocalConsumer(client)
        raised = []

        def run():
            with pytest.raises(AuthenticationFailed) as caught:
                consumer.run()
            raised.append(caught.value)

        thread = threading.Thread(target=run)
        thread.start()
        server.stop()
        server.password = PASSWORD
        server.start()
        thread.join(60)
        consumer.stop()
        assert not thread.is_alive()
        assert len(raised) == 1
