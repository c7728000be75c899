"""`RedisStore`: one deadline for a whole call, however slowly the server sends its replies."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, suppress

import pytest

from faktory_unique import StoreUnavailable
from faktory_unique.locks.transition import read_transition
from faktory_unique.stores.redis import RedisStore

DRIPPING_SECONDS = 30


@pytest.fixture
def dripping():
    """`dripping(login)`: the port of a server that sends a byte every 50 ms, for half a minute.

    Args of `login`: whether its replies to the login come at once.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    over, threads = threading.Event(), []

    def drip(login):
        caller, _ = listening.accept()
        with caller, suppress(OSError):
            while login and (logins := caller.recv(65_536).count(b"CLIENT")):
                caller.sendall(b"+OK\r\n" * logins)
            caller.sendall(b"-" if not login else b"$1000\r\n")
            for _ in range(DRIPPING_SECONDS * 20):
                caller.sendall(b"x")
                if over.wait(0.05):
                    return

    def start(login):
        threads.append(threading.Thread(target=drip, args=[login]))
        threads[-1].start()
        return listening.getsockname()[1]

    yield start
    over.set()
    for thread in threads:
        thread.join(20)
    listening.close()


@pytest.mark.parametrize("login", [True, False], ids=["reply drips", "login drips"])
def test_dripping_server_ends_the_call_at_its_deadline(dripping, login):
    """Each read gets a byte in time. Together they would take half a minute."""
    options = "socket_timeout=0.3&socket_connect_timeout=0.3"
    since = time.monotonic()
    with (
        closing(RedisStore(f"redis://127.0.0.1:{dripping(login)}?{options}")) as store,
        pytest.raises(StoreUnavailable, match=r"no reply from Redis at \S+ .*[Tt]ime"),
    ):
        store.run([read_transition("key")])
    assert time.monotonic() - since < DRIPPING_SECONDS / 2


def test_retry_after_a_failover_has_no_deadline_of_its_own():
    """The server refuses as a replica, and then does not reply on the second connection."""
    listening = socket.create_server(("127.0.0.1", 0))
    callers = []

    def serve():
        with suppress(OSError):
            while True:
                callers.append(listening.accept()[0])
                while received := callers[-1].recv(65_536):
                    logins = received.count(b"CLIENT")
                    if not logins and len(callers) > 1:
                        break
                    time.sleep(0 if logins else 0.5)
                    callers[-1].sendall(b"+OK\r\n" * logins or b"-READONLY x\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    port = listening.getsockname()[1]
    url = f"redis://127.0.0.1:{port}?socket_timeout=0.6&socket_connect_timeout=0.4"
    deadlines = []
    with closing(RedisStore(url)) as store:
        open_connection = store._pool._open_connection

        def note_deadline(deadline):
            deadlines.append(deadline)
            return open_connection(deadline)

        store._pool._open_connection = note_deadline
        with pytest.raises(StoreUnavailable):
            store.run([read_transition("key")])
    assert len(deadlines) == 2
    assert len(set(deadlines)) == 1
    listening.shutdown(socket.SHUT_RDWR)
    thread.join(20)
    for connection in [listening, *callers]:
        connection.close()
