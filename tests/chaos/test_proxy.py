"""Each fault of the proxy, as a client sees it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from scripts.servers import HOST
from tests.chaos.proxy import Proxy


class Echo:
    """A server that greets, and answers each chunk with the same."""

    def __init__(self):
        self.heard = []
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self):
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HI")
            while chunk := connection.recv(4096):
                self.heard.append(chunk)
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
            client = stack.enter_context(socket.create_connection((HOST, proxy.port), 5))
            client.settimeout(5)
            if greeted:
                assert client.recv(2) == b"HI"
            return client

        yield connecting


@contextlib.contextmanager
def beside(function, *given, **named):
    """The fault goes on while the block runs; it yields a list, in the end of what it returned."""
    returned = []
    thread = threading.Thread(target=lambda: returned.append(function(*given, **named)))
    thread.start()
    time.sleep(0.1)  # until it is armed
    yield returned
    thread.join(10)
    assert not thread.is_alive()


def test_without_a_fault_bytes_pass_both_ways(connect):
    client = connect()
    client.sendall(b"PUSH 1")
    assert client.recv(64) == b"PUSH 1"


def test_delay_both_ways(proxy, connect):
    client = connect()
    with beside(proxy.delay, 0.3, 2):
        since = time.monotonic()
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b"PUSH 1"
        assert 0.6 <= time.monotonic() - since < 2
    since = time.monotonic()
    client.sendall(b"PUSH 2")
    assert client.recv(64) == b"PUSH 2"
    assert time.monotonic() - since < 0.3


def test_cut_by_fin(proxy, connect):
    client = connect()
    assert proxy.cut(reset=False) == 1
    assert client.recv(64) == b""


def test_cut_by_rst(proxy, connect):
    client = connect()
    assert proxy.cut(reset=True) == 1
    with pytest.raises(ConnectionResetError):
        client.recv(64)


def test_cut_reply_the_command_was_carried_out(proxy, connect, echo):
    client = connect()
    with beside(proxy.cut_reply) as hit:
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b""
    assert hit == [True]
    assert echo.heard == [b"PUSH 1"]


def test_cut_reply_waits_for_the_verb_that_it_is_for(proxy, connect):
    client, other = connect(), connect()
    with beside(proxy.cut_reply, "ACK") as hit:
        other.sendall(b"PUSH 1")
        assert other.recv(64) == b"PUSH 1"
        client.sendall(b"ACK 1")
        assert client.recv(64) == b""
    assert hit == [True]


def test_a_greeting_is_no_reply(proxy, connect, monkeypatch):
    monkeypatch.setattr("tests.chaos.proxy.ARMED", 0.5)
    with beside(proxy.cut_reply) as hit:
        connect()
    assert hit == [False]


def test_truncate_towards_the_server(proxy, connect, echo):
    client = connect()
    with beside(proxy.truncate, "server") as hit:
        client.sendall(b"PUSH 1")
        client.recv(64)
    assert hit == [True]
    assert echo.heard == [b"PUS"]


def test_truncate_towards_the_client(proxy, connect, echo):
    client = connect()
    with beside(proxy.truncate, "client") as hit:
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b"PUS"
        assert client.recv(64) == b""
    assert hit == [True]
    assert echo.heard == [b"PUSH 1"]


def test_refuse_new_connections_while_old_ones_go_on(proxy, connect):
    client = connect()
    with beside(proxy.refuse, 0.5):
        with pytest.raises(ConnectionRefusedError):
            connect()
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b"PUSH 1"
    connect()


def test_black_hole_swallows_all_and_then_cuts(proxy, connect, echo):
    client = connect()
    with beside(proxy.black_hole, 0.5):
        late = connect(greeted=False)
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b""
        assert late.recv(64) == b""
    assert echo.heard == []
    connect()


def test_clean_ends_what_is_left(proxy, connect):
    client = connect()
    with beside(proxy.delay, 1, 1), beside(proxy.refuse, 1):
        proxy.clean()
        since = time.monotonic()
        client.sendall(b"PUSH 1")
        assert client.recv(64) == b"PUSH 1"
        connect()
        assert time.monotonic() - since < 0.5


def test_the_server_away_a_connection_is_closed_and_the_next_one_tried(proxy, echo, connect):
    echo.close()
    client = connect(greeted=False)
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(64) == b""
