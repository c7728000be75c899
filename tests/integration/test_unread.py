"""A command whose reply is asked for later: what else the connection is used for meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from faktory_unique import Client, CommandNotSent, CommandOutcomeUnknown, CommandRefused
from faktory_unique.client.stream import SocketStream
from tests.integration.peer import Peer, answering, connected


def slowly(seconds, *replies):
    """A script that takes its time for each reply."""

    def script(peer, conn):
        peer.greet(conn)
        for reply in replies:
            if peer.hear(conn) is None:
                return
            time.sleep(seconds)
            conn.sendall(reply)

    return script


def second_of(client, said):
    """Another thread, which calls SECOND and keeps what was said."""
    other = threading.Thread(target=lambda: said.append(client.call("SECOND")))
    other.start()
    return other


def test_the_reply_is_there_when_it_is_asked_for():
    with connected(Peer(answering(b"+ONE\r\n"))) as client:
        reply = client.send("FIRST")
        time.sleep(0.05)
        assert reply() == "+ONE"


def test_another_command_of_the_same_thread_reads_it_first():
    """A hook that pushes, say, is called while a chunk of its own push is under way."""
    with connected(Peer(slowly(0.05, b"+ONE\r\n", b"+TWO\r\n", b"+THREE\r\n"))) as client:
        first = client.send("FIRST")
        assert client.call("SECOND") == "+TWO"
        assert first() == "+ONE"
        assert client.call("THIRD") == "+THREE"


def test_a_second_command_that_is_only_sent_reads_it_first():
    with connected(Peer(slowly(0.05, b"+ONE\r\n", b"-ERR no\r\n"))) as client:
        first, second = client.send("FIRST"), client.send("SECOND")
        with pytest.raises(CommandRefused, match="no"):
            second()
        assert first() == "+ONE"


def test_another_threads_command_reads_it_first_and_goes_on():
    """The thread that sent may be waiting for that other one: in a hook, for a lock say."""
    said = []
    with connected(Peer(slowly(0.05, b"+ONE\r\n", b"+TWO\r\n"))) as client:
        reply = client.send("FIRST")
        other = second_of(client, said)
        other.join(5)
        assert said == ["+TWO"]
        assert reply() == "+ONE"


def test_another_command_waits_for_it_no_longer_than_its_own_time():
    with connected(Peer(slowly(1, b"+ONE\r\n", b"+TWO\r\n")), timeout=5) as client:
        reply = client.send("FIRST")
        since = time.monotonic()
        with pytest.raises(CommandNotSent, match="busy"):
            client.call("SECOND", at_most=0.2)
        assert time.monotonic() - since < 0.8
        assert reply() == "+ONE"
        assert client.call("THIRD") == "+TWO"


def test_a_reply_that_is_not_waited_for_any_longer_keeps_no_other_command_waiting():
    with connected(Peer(slowly(3, b"+ONE\r\n"), answering(b"+TWO\r\n")), timeout=0.6) as client:
        reply = client.send("FIRST")
        time.sleep(0.4)
        assert client.call("SECOND") == "+TWO"
        with pytest.raises(CommandOutcomeUnknown, match=r"FIRST was sent.*timed out"):
            reply()


def test_a_reply_is_waited_for_while_another_thread_is_reading_it():
    said = []
    with connected(Peer(slowly(0.4, b"+ONE\r\n", b"+TWO\r\n"))) as client:
        reply = client.send("FIRST")
        other = second_of(client, said)
        time.sleep(0.1)
        assert reply() == "+ONE"
        other.join(5)
    assert said == ["+TWO"]


class Alarm(Exception):
    """Raised by a signal handler."""


@contextmanager
def alarm(after, act):
    """Has a signal handler do something amid what this thread does."""
    before = signal.signal(signal.SIGALRM, lambda *_: act())
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_amid_a_command_cannot_send_another():
    """It would read the reply of the command that it interrupts, and that one the handler's."""
    told = []
    with connected(Peer(slowly(0.5, b"+ONE\r\n", b"+TWO\r\n"))) as client:

        def act():
            try:
                client.call("SECOND")
            except CommandNotSent as exc:
                told.append(str(exc))

        with alarm(0.1, act):
            assert client.call("FIRST") == "+ONE"
        [why] = told
        assert why.startswith("this very thread is amid a command")
        assert client.call("THIRD") == "+TWO"


def test_a_signal_handler_amid_a_command_cannot_have_the_reply_to_one_before():
    """To tell that nothing was sent would be a lie, by which a lock would be freed."""
    told = []
    with connected(Peer(slowly(0.5, b"+ONE\r\n", b"+TWO\r\n"))) as client:
        first = client.send("FIRST")

        def act():
            with pytest.raises(CommandOutcomeUnknown, match="FIRST was sent"):
                first()
            told.append("so")

        with alarm(0.1, act):
            assert client.call("SECOND") == "+TWO"
    assert told == ["so"]


def test_a_signal_handler_that_disconnects_while_a_reply_is_waited_for_spoils_no_other_command():
    with connected(Peer(slowly(0.5, b"+ONE\r\n"), answering(b"+TWO\r\n", b"+THREE\r\n"))) as client:
        first = client.send("FIRST")
        with alarm(0.1, client.disconnect):
            assert client.call("SECOND") == "+TWO"
        client.connect()
        third = client.send("THIRD")
        with pytest.raises(CommandOutcomeUnknown, match="FIRST was sent"):
            first()
        assert third() == "+THREE"


def test_a_signal_handler_that_disconnects_leaves_its_outcome_open():
    with (
        connected(Peer(slowly(0.5, b"+ONE\r\n"))) as client,
        alarm(0.1, client.disconnect),
        pytest.raises(CommandOutcomeUnknown, match="FIRST was sent"),
    ):
        client.call("FIRST")


def test_a_handler_that_raises_keeps_nobody_from_the_connection():
    def act():
        raise Alarm

    with connected(Peer(slowly(0.5, b"+ONE\r\n"), answering(b"+TWO\r\n"))) as client:
        reply = client.send("FIRST")
        with alarm(0.1, act), pytest.raises(Alarm):
            reply()
        said = []
        other = second_of(client, said)
        other.join(5)
        assert said == ["+TWO"]
        with pytest.raises(CommandOutcomeUnknown, match="not waited for"):
            reply()


def test_what_was_broken_off_amid_its_send_is_waited_for_by_nobody(monkeypatch):
    def send(_wire, _command, _deadline):
        raise Alarm

    with connected(Peer(answering(b"+ONE\r\n"), answering(b"+TWO\r\n")), timeout=None) as client:
        with monkeypatch.context() as patched:
            patched.setattr(SocketStream, "send", send)
            with pytest.raises(Alarm):
                client.call("FIRST")
        assert client.call("SECOND") == "+TWO"


def test_a_forked_child_leaves_it_to_its_parent():
    with connected(Peer(slowly(0.2, b"+ONE\r\n"))) as client:
        reply = client.send("FIRST")
        pid = os.fork()
        if pid == 0:
            try:
                reply()
            except CommandOutcomeUnknown:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert reply() == "+ONE"


def test_a_reply_that_has_arrived_in_time_is_read_however_late():
    with connected(Peer(answering(b"+ONE\r\n")), timeout=0.3) as client:
        reply = client.send("FIRST")
        time.sleep(0.5)
        assert reply() == "+ONE"


def test_one_that_has_not_is_waited_for_no_longer():
    with connected(Peer(slowly(1.5, b"+ONE\r\n")), timeout=0.5) as client:
        reply = client.send("FIRST")
        since = time.monotonic()
        with pytest.raises(CommandOutcomeUnknown, match=r"FIRST was sent.*timed out"):
            reply()
        assert time.monotonic() - since < 1


def test_where_there_is_none_the_outcome_is_unknown_and_the_next_command_has_a_new_connection():
    with connected(Peer(answering(b""), answering(b"+TWO\r\n"))) as client:
        reply = client.send("FIRST")
        assert client.call("SECOND") == "+TWO"
        with pytest.raises(CommandOutcomeUnknown, match="FIRST was sent"):
            reply()


def test_a_client_that_is_disconnected_reads_it_first():
    peer = Peer(slowly(0.05, b"+ONE\r\n"))
    with connected(peer) as client:
        reply = client.send("FIRST")
        client.disconnect()
        assert reply() == "+ONE"


def test_what_cannot_be_sent_is_told_when_it_is_asked_for():
    peer = Peer(answering(b"+ONE\r\n"))
    with connected(peer) as client:
        assert client.call("FIRST") == "+ONE"
        peer.thread.join(5)  # nobody listens any more
        reply = client.send("SECOND")
        with pytest.raises(CommandNotSent, match="no connection"):
            reply()


def test_a_client_that_is_not_connected_sends_nothing(faktory_url):
    with pytest.raises(CommandNotSent, match="not connected"):
        Client(faktory_url).send("INFO")
