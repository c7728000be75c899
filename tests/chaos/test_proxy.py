"""Faults of the proxy, as a client sees them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from scripts.servers import HOST
from tests.chaos.proxy import Proxy
from tests.patience import PATIENCE, takes, wait_for


class Echo:
    """A server that greets, and replies to each chunk with the same bytes."""

    def __init__(self):
        self.received = []
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def wait_for(self, *chunks):
        """Wait until it has read these chunks: the client may know of them first."""
        deadline = time.monotonic() + 10
        while self.received != list(chunks) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.received == list(chunks)

    def close(self):
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(PATIENCE)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HI")
            while chunk := connection.recv(4096):
                self.received.append(chunk)
                connection.sendall(chunk)


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo):
    with Proxy(echo.port) as running:
        yield running


@pytest.fixture
def connect(proxy):
    with contextlib.ExitStack() as stack:

        def connecting(*, greeted=True):
            client = stack.enter_context(socket.create_connection((HOST, proxy.port), PATIENCE))
            client.settimeout(PATIENCE)
            if greeted:
                assert client.recv(2) == b"HI"
            return client

        yield connecting


@contextlib.contextmanager
def during(fault, *arguments, **named):
    """Run a fault in a thread during the block; yield a list that gets its return value."""
    proxy, returned = fault.__self__, []

    def state():
        faults = proxy._delay, proxy._black_hole_until, proxy._listener
        return *faults, len(proxy._aimed_faults)

    before = state()
    thread = threading.Thread(target=lambda: returned.append(fault(*arguments, **named)))
    thread.start()
    wait_for(lambda: state() != before)
    yield returned
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_proxy_forwards_bytes_in_both_directions(connect):
    client = connect()
    client.sendall(b"PUSH 1")
    assert client.recv(64) == b"PUSH 1"


def test_delay_holds_bytes_in_both_directions(proxy, connect):
    client = connect()

    def echo():
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b"PUSH 1"

    with during(proxy.delay, 0.3, 5):
        assert takes(echo, least=0.6, below=4, tries=1)
    assert takes(echo, below=0.3)


def test_cut_closes_by_fin(proxy, connect):
    client = connect()
    assert proxy.cut(reset=False) == 1
    assert client.recv(64) == b""


def test_cut_closes_by_rst(proxy, connect):
    client = connect()
    assert proxy.cut(reset=True) == 1
    with pytest.raises(ConnectionResetError):
        client.recv(64)


def test_cut_reply_lets_the_command_through(proxy, connect, echo):
    client = connect()
    with during(proxy.cut_reply) as hit:
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b""
    assert hit == [True]
    echo.wait_for(b"PUSH 1")


def test_cut_reply_waits_for_its_verb(proxy, connect):
    client, other = connect(), connect()
    with during(proxy.cut_reply, "ACK") as hit:
        other.sendall(b"PUSH 1")
        assert other.recv(64) == b"PUSH 1"
        client.sendall(b"ACK 1")
        assert client.recv(64) == b""
    assert hit == [True]


def test_cut_reply_ignores_the_greeting(proxy, connect, monkeypatch):
    monkeypatch.setattr("tests.chaos.proxy.ARMED_SECONDS", 0.5)
    with during(proxy.cut_reply) as hit:
        connect()
    assert hit == [False]


def test_truncate_cuts_a_command_short(proxy, connect, echo):
    client = connect()
    with during(proxy.truncate, "server") as hit:
        client.sendall(b"PUSH 1")
        client.recv(64)
    assert hit == [True]
    echo.wait_for(b"PUS")


def test_truncate_cuts_a_reply_short(proxy, connect, echo):
    client = connect()
    with during(proxy.truncate, "client") as hit:
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b"PUS"
        assert client.recv(64) == b""
    assert hit == [True]
    assert echo.received == [b"PUSH 1"]


def test_hold_lets_a_command_through_later(proxy, connect, echo):
    client, other, held = connect(), connect(), []
    hold = during(
        proxy.hold, "server", "ACK", 0.5, on_held=lambda command, _: held.append(command.name)
    )
    with hold as hit:
        since = time.monotonic()
        client.sendall(b"ACK 1")
        other.sendall(b"PUSH 1")
        assert other.recv(64) == b"PUSH 1"
        assert echo.received == [b"PUSH 1"]
        assert client.recv(64) == b"ACK 1"
        assert time.monotonic() - since >= 0.5
    assert hit == [True]
    assert held == ["ACK"]


def test_hold_of_a_reply_lets_the_command_through(proxy, connect, echo):
    client = connect()
    with during(proxy.hold, "client", "ACK", 0.5, on_held=lambda *_: None):
        client.sendall(b"ACK 1")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(64)
        assert echo.received == [b"ACK 1"]
        client.settimeout(5)
        assert client.recv(64) == b"ACK 1"


def test_held_command_arrives_after_its_client_has_left(proxy, connect, echo):
    client = connect()
    with during(proxy.hold, "server", "ACK", 0.5, on_held=lambda *_: None):
        client.sendall(b"ACK 1")
        time.sleep(0.1)
        client.close()
        assert echo.received == []
    echo.wait_for(b"ACK 1")


def test_hold_ends_after_a_command_for_the_same_job(proxy, connect, echo):
    client, other, third = connect(), connect(), connect()
    hold = during(proxy.hold, "server", "ACK", 9, until="FAIL", times=1, on_held=lambda *_: None)
    with hold:
        client.sendall(b'ACK {"jid":"a"}')
        other.sendall(b'FAIL {"jid":"b"}')
        assert other.recv(64)
        assert len(echo.received) == 1
        third.sendall(b'FAIL {"jid":"a"}')
        assert client.recv(64) == b'ACK {"jid":"a"}'
        assert third.recv(64)
        proxy.end_faults()
    assert echo.received[1:] == [b'FAIL {"jid":"a"}', b'ACK {"jid":"a"}']


def test_outage_begins_with_its_command(proxy, connect, echo):
    client, other = connect(), connect()
    with during(proxy.outage, "ACK", 0.5) as hit:
        other.sendall(b"PUSH 1")
        assert other.recv(64) == b"PUSH 1"
        client.sendall(b"ACK 1")
        assert client.recv(64) == b""
        other.sendall(b"PUSH 2")
        assert other.recv(64) == b""
    assert hit == [True]
    assert echo.received == [b"PUSH 1"]
    connect()


def test_refuse_leaves_old_connections_open(proxy, connect):
    client = connect()
    with during(proxy.refuse, 2):
        with pytest.raises(ConnectionRefusedError):
            connect()
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b"PUSH 1"
    connect()


def test_black_hole_drops_all_bytes_then_cuts(proxy, connect, echo):
    client = connect()
    with during(proxy.black_hole, 2):
        late = connect(greeted=False)
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b""
        assert late.recv(64) == b""
    assert echo.received == []
    connect()


def test_end_faults_ends_all_faults(proxy, connect):
    client = connect()
    with during(proxy.delay, 4, 4), during(proxy.refuse, 4):
        proxy.end_faults()
        since = time.monotonic()
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b"PUSH 1"
        connect()
        assert time.monotonic() - since < 4


def test_proxy_closes_connections_while_the_server_is_down(proxy, echo, connect):
    echo.close()
    client = connect(greeted=False)
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(64) == b""
