"""`ErrorReply`: what each error reply of a Redis means, and what the store then does."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress

import pytest
from redis.connection import DefaultParser
from redis.exceptions import AuthenticationError

from faktory_unique import StoreError, StoreUnavailable
from faktory_unique.locks.transition import Transition
from faktory_unique.stores.redis import RedisStore
from faktory_unique.stores.redis_errors import ErrorReply

IN_SCRIPT = "ERR Error running script (call to f_99): @user_script:17:"
RELEASE = Transition("key", ("owner",), None, 0)


class ScriptedRedis:
    """A server that replies to each command but those of the login with the next reply."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._listening.close()

    def _serve(self):
        with suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                self.connections += 1
                with caller:
                    while received := caller.recv(65_536):
                        login = received.count(b"CLIENT")
                        caller.sendall(b"+OK\r\n" * login or self.replies.pop(0))


def error(text):
    return b"-%b\r\n" % text.encode()


@pytest.mark.parametrize(
    ("text", "connections", "kind", "refused"),
    [
        ("READONLY You can't write", 2, StoreUnavailable, False),
        ("MASTERDOWN Link with MASTER is down", 2, StoreUnavailable, False),
        ("LOADING Redis is loading", 2, StoreUnavailable, False),
        ("CLUSTERDOWN The cluster is down", 2, StoreUnavailable, False),
        ("TRYAGAIN Multiple keys request", 2, StoreUnavailable, False),
        ("NOAUTH Authentication required.", 2, StoreError, False),
        ("MOVED 3999 127.0.0.1:6381", 2, StoreError, True),
        ("ASK 3999 127.0.0.1:6381", 2, StoreError, True),
        ("BUSY Redis is busy running a script", 1, StoreUnavailable, False),
        ("OOM command not allowed", 1, StoreError, False),
        ("MISCONF Redis is configured to save", 1, StoreError, False),
        ("NOREPLICAS Not enough good replicas", 1, StoreError, False),
        ("WRONGTYPE Operation against a key", 1, StoreError, True),
        ("NOPERM this user has no permissions", 1, StoreError, True),
        ("ERR unknown command 'EVALSHA'", 1, StoreError, True),
    ],
)
def test_error_reply_decides_retry_class_and_finality(text, connections, kind, refused):
    with (
        ScriptedRedis(error(text), error(text)) as server,
        closing(RedisStore(f"redis://127.0.0.1:{server.port}")) as store,
    ):
        with pytest.raises(StoreError) as caught:
            store.run([RELEASE])
        assert (server.connections, type(caught.value)) == (connections, kind)
        assert text in str(caught.value)
        assert caught.value.refused == ((RELEASE,) if refused else ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CLUSTERDOWN The cluster is down", "is unavailable: CLUSTERDOWN The cluster"),
        ("ERR DB index is out of range", "refused the login: .*DB index is out of range"),
        ("NOPERM no permissions to run 'select'", "refused the login: NOPERM"),
    ],
)
def test_error_reply_to_the_login_is_classified_too(text, message):
    with (
        ScriptedRedis(error(text)) as server,
        closing(RedisStore(f"redis://127.0.0.1:{server.port}/1")) as store,
        pytest.raises(StoreError, match=message) as caught,
    ):
        store.run([RELEASE])
    assert isinstance(caught.value, StoreUnavailable) is ("unavailable" in message)


@pytest.mark.parametrize("text", ["READONLY x", "NOAUTH x", "MOVED 1 h:1", "LOADING x"])
def test_reply_on_a_fresh_connection_counts(text):
    with (
        ScriptedRedis(error(text), b"$5\r\nowner\r\n") as server,
        closing(RedisStore(f"redis://127.0.0.1:{server.port}")) as store,
    ):
        assert store.run([RELEASE]) == ["owner"]
        assert server.connections == 2


def test_applied_transitions_are_not_sent_again():
    """Only what the wrong server refused, or did not apply, is sent to the right one."""
    first = b"$5\r\nowner\r\n" + error("READONLY x") + b"$-1\r\n"
    second = b"$5\r\nowner\r\n" + b"$5\r\nowner\r\n"
    transitions = [RELEASE._replace(key=key) for key in "abc"]
    with (
        ScriptedRedis(first, second) as server,
        closing(RedisStore(f"redis://127.0.0.1:{server.port}")) as store,
    ):
        assert store.run(transitions) == ["owner"] * 3


def test_outcomes_before_a_lost_retry_are_known():
    """The fresh connection breaks: what the first server applied is applied."""
    transitions = [RELEASE._replace(key=key) for key in "ab"]
    with (
        ScriptedRedis(b"$5\r\nowner\r\n" + error("READONLY x"), b"?\r\n") as server,
        closing(RedisStore(f"redis://127.0.0.1:{server.port}")) as store,
    ):
        with pytest.raises(StoreUnavailable) as caught:
            store.run(transitions)
        assert caught.value.done == (transitions[0],)
        assert caught.value.found == {transitions[0]: "owner"}
        assert caught.value.refused == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{IN_SCRIPT} @user_script: 17: -READONLY You can't write against a read only replica.",
            "READONLY You can't write against a read only replica.",
        ),
        (
            f"{IN_SCRIPT} WRONGTYPE Operation",
            "WRONGTYPE Operation",
        ),
        (
            f"{IN_SCRIPT} The user cannot",
            f"{IN_SCRIPT} The user cannot",
        ),
    ],
)
def test_error_inside_a_script_is_the_cause(text, expected):
    """Redis 6.2 wraps it."""
    reply = ErrorReply(text)
    assert (str(reply), reply.word) == (expected, expected.split()[0])


@pytest.mark.parametrize(
    "text",
    [
        "READONLY You can't write",
        "MASTERDOWN Link with MASTER",
        "NOPERM this user has no permissions",
        "WRONGTYPE Operation against a key",
        "LOADING Redis is loading",
    ],
)
def test_exception_of_redis_py_is_the_reply_again(text):
    """It removes the first word from some replies, depending on its version."""
    reply = ErrorReply.of(DefaultParser.parse_error(text))
    assert (str(reply), reply.word) == (text, text.split()[0])


def test_login_error_keeps_its_text():
    assert "invalid username" in str(ErrorReply.of(AuthenticationError("invalid username")))
