"""What a Redis that is not well says, over a connection of the store's own."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from redis import Connection
from redis.exceptions import BusyLoadingError, NoScriptError
from redis.exceptions import ConnectionError as RedisConnectionError

from faktory_unique import StoreUnavailable
from faktory_unique.locks.transition import read_transition
from faktory_unique.stores import redis_connection as module
from faktory_unique.stores.redis import RedisStore
from faktory_unique.stores.redis_connection import _SLEEPS_AFTER_A_VAIN_LOOK, RedisConnection


@pytest.fixture
def says():
    """`says(text)`: a port where each command is answered with this; empty: with a hang-up."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve(text, after=0):
        def run():
            caller, _ = listening.accept()
            with caller:
                while heard := caller.recv(65_536):
                    introduced = b"+OK\r\n" * heard.count(b"CLIENT")  # redis-py does that first
                    if not introduced and not text:
                        return
                    time.sleep(0 if introduced else after)
                    caller.sendall(introduced or text)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return listening.getsockname()[1]

    yield serve
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    listening.close()


@pytest.fixture
def line(says):
    lines = []

    def open_line(text, after=0):
        lines.append(RedisConnection(Connection(port=says(text, after), protocol=2)))
        return lines[-1]

    yield open_line
    for each in lines:
        each.close()


def test_replies_come_in_order_and_errors_among_them_as_values(line):
    text = b"$2\r\nab\r\n$-1\r\n-NOSCRIPT No matching script\r\n:7\r\n"
    ab, nothing, error, seven = line(text).ask([("GET", "a")] * 4)
    assert (ab, nothing, seven) == (b"ab", None, 7)
    assert isinstance(error, NoScriptError)


class Looking:
    """Counts how often an answer is looked for."""

    def __init__(self, line, monkeypatch):
        self.looks = 0
        self._poll = line._readable.poll
        monkeypatch.setattr(line, "_readable", self)

    def poll(self, milliseconds):
        self.looks += 1
        return self._poll(milliseconds)


def test_an_answer_is_looked_for_before_it_is_slept_for(line, monkeypatch):
    monkeypatch.setattr(module, "_NEARBY", 5)
    near = line(b"$-1\r\n", after=0.01)
    looking = Looking(near, monkeypatch)
    assert near.ask([("GET", "a")]) == [None]
    assert looking.looks > 1


def test_where_it_was_looked_for_in_vain_the_next_ones_are_slept_for(line, monkeypatch):
    """A Redis that is far away, or busy, costs a producer no more of its processor."""
    far = line(b"$-1\r\n", after=0.002)
    looking = Looking(far, monkeypatch)
    far.ask([("GET", "a")])
    looks = looking.looks
    assert looks > 1
    for _ in range(_SLEEPS_AFTER_A_VAIN_LOOK):
        assert far.ask([("GET", "a")]) == [None]
    assert looking.looks == looks
    far.ask([("GET", "a")])
    assert looking.looks > looks


def test_it_is_not_looked_for_where_another_thread_waits_for_its_own(line, monkeypatch):
    crowded = line(b"$-1\r\n", after=0.002)
    crowded.is_alone = False
    looking = Looking(crowded, monkeypatch)
    assert crowded.ask([("GET", "a")]) == [None]
    assert looking.looks == 0


class Quiet:
    """A line on which nothing is said."""

    def is_quiet(self):
        return True


def test_a_thread_is_alone_until_another_waits_for_the_same_redis():
    store = RedisStore("redis://127.0.0.1:1")
    seen = []
    first, second = Quiet(), Quiet()
    store._idle.extend([second, first])

    def exchange(line):
        seen.append(line.is_alone)
        if line is first:
            store._talk(exchange)
        return []

    store._talk(exchange)
    assert seen == [True, False]
    assert store._talking == set()
    store._idle.clear()


def test_a_redis_that_is_loading_gives_no_answer(line):
    with pytest.raises(BusyLoadingError):
        line(b"-LOADING Redis is loading the dataset in memory\r\n").ask([("GET", "a")])


def test_a_hang_up_gives_no_answer(line):
    with pytest.raises(RedisConnectionError, match="has closed the connection"):
        line(b"").ask([("GET", "a")])


def test_what_was_not_asked_for_is_noticed(line):
    """It would be read as the answer to the next command."""
    noisy = line(b"+OK\r\n+OK\r\n")
    assert noisy.is_quiet()
    noisy.ask([("GET", "a")])
    assert not noisy.is_quiet()


@pytest.mark.parametrize("text", [b"-LOADING Redis is loading the dataset\r\n", b"", b"?\r\n"])
def test_the_store_is_unavailable_then(says, text):
    with pytest.raises(StoreUnavailable, match="no answer from Redis at"):
        RedisStore(f"redis://127.0.0.1:{says(text)}?protocol=2").run([read_transition("key")])
