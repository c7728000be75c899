"""`CircuitBreaker`: when calls fail at once, who probes, and what is logged."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from faktory_unique import StoreError, StoreUnavailable
from faktory_unique.stores.breaker import FAILURES_TO_OPEN, PROBE_SECONDS, CircuitBreaker


class Server:
    """The server behind the breaker. `replies` makes it available, or an error that it raises."""

    def __init__(self):
        self.error = StoreUnavailable("no reply")
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.error is not None:
            raise self.error
        return "reply"


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def breaker(now):
    return CircuitBreaker("Redis at h:1", lambda: now[0])


def fail(breaker, server, times=1):
    for _ in range(times):
        with pytest.raises(StoreUnavailable):
            breaker.call(server)


def test_failures_in_a_row_open_the_breaker(breaker, server):
    fail(breaker, server, FAILURES_TO_OPEN)
    with pytest.raises(StoreUnavailable, match=r"no call to Redis at h:1: it has failed 3 times"):
        breaker.call(server)
    assert server.calls == FAILURES_TO_OPEN


def test_a_success_in_between_keeps_it_closed(breaker, server):
    for _ in range(3):
        fail(breaker, server, FAILURES_TO_OPEN - 1)
        server.error = None
        assert breaker.call(server) == "reply"
        server.error = StoreUnavailable("no reply")
    fail(breaker, server)
    assert server.calls == 10


def test_an_error_reply_is_a_sign_of_life(breaker, server):
    fail(breaker, server, FAILURES_TO_OPEN - 1)
    server.error = StoreError("WRONGTYPE")
    for _ in range(5):
        with pytest.raises(StoreError, match="WRONGTYPE"):
            breaker.call(server)
    assert server.calls == FAILURES_TO_OPEN - 1 + 5


def test_a_probe_is_made_after_the_pause(breaker, server, now):
    fail(breaker, server, FAILURES_TO_OPEN)
    now[0] = PROBE_SECONDS - 0.1
    fail(breaker, server, 2)
    assert server.calls == FAILURES_TO_OPEN
    now[0] = PROBE_SECONDS
    fail(breaker, server, 2)  # a probe; then the next pause
    assert server.calls == FAILURES_TO_OPEN + 1


def test_a_probe_that_succeeds_closes_the_breaker(breaker, server, now):
    fail(breaker, server, FAILURES_TO_OPEN)
    now[0], server.error = PROBE_SECONDS, None
    assert [breaker.call(server) for _ in range(3)] == ["reply"] * 3
    server.error = StoreUnavailable("no reply")
    fail(breaker, server, FAILURES_TO_OPEN)
    assert server.calls == 2 * FAILURES_TO_OPEN + 3


def test_allow_probe_ends_the_pause(breaker, server):
    """Deferred writes have pauses of their own: the breaker adds none."""
    fail(breaker, server, FAILURES_TO_OPEN)
    server.error = None
    breaker.allow_probe()
    assert breaker.call(server) == "reply"


def test_one_caller_at_a_time_probes(breaker, server, now):
    """The others fail at once, also those of a signal handler in the thread that probes."""
    fail(breaker, server, FAILURES_TO_OPEN)
    now[0] = PROBE_SECONDS
    probing, may_reply = threading.Event(), threading.Event()

    def probe():
        probing.set()
        fail(breaker, server)  # as a signal handler of this thread
        assert may_reply.wait(20)
        return "reply"

    thread = threading.Thread(target=breaker.call, args=[probe])
    thread.start()
    assert probing.wait(20)
    fail(breaker, server, 5)
    assert server.calls == FAILURES_TO_OPEN
    may_reply.set()
    thread.join(20)
    server.error = None
    assert breaker.call(server) == "reply"


def test_an_interrupted_probe_lets_others_probe(breaker, server, now):
    fail(breaker, server, FAILURES_TO_OPEN)
    now[0] = PROBE_SECONDS
    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 / 0)
    server.error = None
    assert breaker.call(server) == "reply"


def test_a_probe_that_never_ended_does_not_keep_it_open(breaker, server, now):
    """A signal handler raised an exception just as the probe began."""
    fail(breaker, server, FAILURES_TO_OPEN)
    now[0] = PROBE_SECONDS
    breaker._begin_probe()
    server.error = None
    fail(breaker, server)
    now[0] += 10
    assert breaker.call(server) == "reply"


def test_opening_and_closing_are_logged_once(breaker, server, now, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(4):
        fail(breaker, server, FAILURES_TO_OPEN)
        now[0] += PROBE_SECONDS
    server.error = None
    for _ in range(4):
        breaker.call(server)
    assert [record.getMessage() for record in caplog.records] == [
        "store unavailable, calls fail at once until it is back: failures=3 error=no reply",
        "store available again: store=Redis at h:1 seconds=8.0",
    ]


def test_a_forked_child_begins_closed(breaker, server, now):
    """A thread of its parent may hold the probe, which nobody would give back."""
    fail(breaker, server, FAILURES_TO_OPEN)
    now[0] = PROBE_SECONDS
    breaker._begin_probe()
    breaker._pid = os.getppid()
    server.error = None
    assert breaker.call(server) == "reply"
