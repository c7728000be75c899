"""`RedisConnection`: replies, errors and hang-ups of a Redis, and busy polling."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, suppress
from time import monotonic

import pytest
from redis import Connection
from redis.exceptions import ConnectionError as RedisConnectionError

from faktory_unique import StoreUnavailable
from faktory_unique.locks.transition import read_transition
from faktory_unique.stores import redis_connection as module
from faktory_unique.stores.redis import RedisStore
from faktory_unique.stores.redis_connection import (
    _BLOCKING_READS_AFTER_BUSY_POLL,
    ClientConnection,
    RedisConnection,
)
from faktory_unique.stores.redis_errors import ErrorReply
from tests.patience import PATIENCE

GET = [("GET", "a")]


@pytest.fixture
def serve():
    """`serve(reply, after=0)`: a port that sends this reply to each command; empty: hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve(reply, after=0):
        def run():
            with suppress(OSError):  # the test is over
                while True:
                    answer(listening.accept()[0])

        def answer(caller):
            with caller:
                while received := caller.recv(65_536):
                    greeting = b"+OK\r\n" * received.count(b"CLIENT")  # redis-py sends that first
                    if not greeting and not reply:
                        return
                    time.sleep(0 if greeting else after)
                    caller.sendall(greeting or reply)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return listening.getsockname()[1]

    yield serve
    if threads:
        listening.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    listening.close()


@pytest.fixture
def connect(serve):
    """`connect(reply, after=0)`: a connection to a server that sends this reply to each command."""
    connections = []

    def connect(reply, after=0):
        port = serve(reply, after)
        connections.append(RedisConnection(Connection(port=port, protocol=2), monotonic() + 20))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


def test_replies_come_in_order_with_errors_as_values(connect):
    text = b"$2\r\nab\r\n$-1\r\n-NOSCRIPT No matching script\r\n:7\r\n"
    ab, nothing, error, seven = connect(text).exchange(GET * 4, monotonic() + 20, busy_poll=True)
    assert (ab, nothing, seven) == (b"ab", None, 7)
    assert isinstance(error, ErrorReply)
    assert (error.word, str(error)) == ("NOSCRIPT", "NOSCRIPT No matching script")


class PollCounter:
    """Counts the polls of a connection."""

    def __init__(self, connection, monkeypatch):
        self.polls = 0
        self._select = connection._readable.select
        monkeypatch.setattr(connection, "_readable", self)

    def select(self, seconds):
        self.polls += 1
        return self._select(seconds)


def test_a_reply_is_polled_for_before_blocking(connect, monkeypatch):
    monkeypatch.setattr(module, "_BUSY_POLL_SECONDS", 5)
    connection = connect(b"$-1\r\n", after=0.01)
    counter = PollCounter(connection, monkeypatch)
    assert connection.exchange(GET, monotonic() + 20, busy_poll=True) == [None]
    assert counter.polls > 1


def test_reads_block_after_a_busy_poll_without_a_reply(connect, monkeypatch):
    """A Redis that is far away, or busy, costs a producer no more of its processor."""
    connection = connect(b"$-1\r\n", after=0.002)
    counter = PollCounter(connection, monkeypatch)
    connection.exchange(GET, monotonic() + 20, busy_poll=True)
    polls = counter.polls
    assert polls > 1
    for _ in range(_BLOCKING_READS_AFTER_BUSY_POLL):
        assert connection.exchange(GET, monotonic() + 20, busy_poll=True) == [None]
    assert counter.polls == polls
    connection.exchange(GET, monotonic() + 20, busy_poll=True)
    assert counter.polls > polls


def test_without_busy_poll_every_read_blocks(connect, monkeypatch):
    connection = connect(b"$-1\r\n", after=0.002)
    counter = PollCounter(connection, monkeypatch)
    assert connection.exchange(GET, monotonic() + 20, busy_poll=False) == [None]
    assert counter.polls == 0


def test_the_store_busy_polls_unless_another_exchange_runs():
    """A thread that polls would take the processor from another that waits for its reply."""
    store = RedisStore("redis://127.0.0.1:1")
    busy_polls = []

    class Recorder:
        def is_idle(self):
            return True

        idle_since = 0

        def exchange(self, _commands, _deadline, *, busy_poll):
            busy_polls.append(busy_poll)
            if len(busy_polls) == 1:
                store.read([])
            return []

    store._pool._idle.extend([Recorder(), Recorder()])
    store.read([])
    assert busy_polls == [True, False]
    assert store._pool.busy == 0
    store._pool._idle.clear()


def test_a_hang_up_raises(connect):
    with pytest.raises(RedisConnectionError, match="Redis closed the connection"):
        connect(b"").exchange(GET, monotonic() + 20, busy_poll=True)


def test_an_unexpected_reply_makes_the_connection_not_idle(connect):
    """It would be read as the reply to the next command."""
    connection = connect(b"+OK\r\n+OK\r\n")
    assert connection.is_idle()
    connection.exchange(GET, monotonic() + 20, busy_poll=True)
    assert not connection.is_idle()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"-LOADING Redis is loading the dataset\r\n", "is unavailable: LOADING Redis is loading"),
        (b"", "no reply from Redis at"),
        (b"?\r\n", "no reply from Redis at"),
    ],
)
def test_the_store_is_unavailable_without_a_valid_reply(serve, reply, message):
    with (
        closing(RedisStore(f"redis://127.0.0.1:{serve(reply)}?protocol=2")) as store,
        pytest.raises(StoreUnavailable, match=message),
    ):
        store.run([read_transition("key")])


def test_nothing_is_sent_after_the_deadline(connect):
    with pytest.raises(TimeoutError):
        connect(b"$-1\r\n").exchange(GET, monotonic() - 1, busy_poll=True)


def test_users_own_class_keeps_the_deadline_between_replies(serve):
    """Its socket, and so its time-outs, are its own business."""
    connection = ClientConnection(Connection(port=serve(b"$-1\r\n"), protocol=2))
    with closing(connection):
        assert connection.exchange(GET, monotonic() + 20, busy_poll=True) == [None]
        assert connection.is_idle()
        with pytest.raises(TimeoutError):
            connection.exchange(GET, monotonic() - 1, busy_poll=True)


def test_class_of_the_users_own_that_lost_its_server_is_not_idle(serve):
    connection = ClientConnection(Connection(port=serve(b""), protocol=2))
    with closing(connection), pytest.raises(RedisConnectionError):
        connection.exchange(GET, monotonic() + 20, busy_poll=True)

    def fail(_seconds):
        raise OSError("closed")

    connection._connection.can_read = fail
    assert not connection.is_idle()
