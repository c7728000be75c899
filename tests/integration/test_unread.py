"""A reply that is still unread while its connection is used: threads, signals, forks, time-outs."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from faktory_unique import (
    Client,
    CommandNotSent,
    CommandOutcomeUnknown,
    CommandRefused,
    Producer,
    PushStatus,
)
from faktory_unique.client.stream import SocketStream
from tests.integration.peer import Peer, answering, connected
from tests.patience import PATIENCE


def slowly(seconds, *replies):
    """Return a script that waits before it sends each reply."""

    def script(peer, conn):
        peer.greet(conn)
        for reply in replies:
            if peer.receive(conn) is None:
                return
            time.sleep(seconds)
            conn.sendall(reply)

    return script


def send(client, command):
    return client._commands.send(command)


def call(client, command, **options):
    return client._commands.call(command, **options)


def call_second(client, replies):
    """Start another thread, which calls SECOND and keeps the reply."""
    thread = threading.Thread(target=lambda: replies.append(call(client, "SECOND")))
    thread.start()
    return thread


def test_reply_can_be_received_after_it_has_arrived():
    with connected(Peer(answering(b"+ONE\r\n"))) as client:
        reply = send(client, "FIRST")
        time.sleep(0.05)
        assert reply.receive() == "+ONE"


def test_next_command_of_the_same_thread_reads_it_first():
    """For example, a hook that pushes is called while a chunk of its own push is being sent."""
    with connected(Peer(slowly(0.05, b"+ONE\r\n", b"+TWO\r\n", b"+THREE\r\n"))) as client:
        first = send(client, "FIRST")
        assert call(client, "SECOND") == "+TWO"
        assert first.receive() == "+ONE"
        assert call(client, "THIRD") == "+THREE"


def test_next_command_that_is_only_sent_reads_it_first():
    with connected(Peer(slowly(0.05, b"+ONE\r\n", b"-ERR no\r\n"))) as client:
        first, second = send(client, "FIRST"), send(client, "SECOND")
        with pytest.raises(CommandRefused, match="no"):
            second.receive()
        assert first.receive() == "+ONE"


def test_command_of_another_thread_reads_it_first_and_continues():
    """The thread that sent may be waiting for the other one: in a hook, or for a lock."""
    replies = []
    with connected(Peer(slowly(0.05, b"+ONE\r\n", b"+TWO\r\n"))) as client:
        reply = send(client, "FIRST")
        call_second(client, replies).join(PATIENCE)
        assert replies == ["+TWO"]
        assert reply.receive() == "+ONE"


@pytest.mark.parametrize("timeout", [None, 30])
def test_another_command_waits_for_it_until_its_own_deadline(timeout):
    with connected(Peer(slowly(3, b"+ONE\r\n", b"+TWO\r\n")), timeout=timeout) as client:
        reply = send(client, "FIRST")
        since = time.monotonic()
        with pytest.raises(CommandNotSent, match="busy"):
            call(client, "SECOND", max_timeout=0.2)
        assert time.monotonic() - since < 2.5
        assert reply.receive() == "+ONE"
        assert call(client, "THIRD") == "+TWO"


def test_another_thread_waits_for_its_turn_until_its_deadline():
    """The connection is busy with a command that may take longer."""
    proceed = threading.Event()

    def hold_back(peer, conn):
        peer.greet(conn)
        peer.receive(conn)
        proceed.wait(20)
        conn.sendall(b"+ONE\r\n")

    peer, replies = Peer(hold_back), []
    with connected(peer, timeout=10) as client:
        first = threading.Thread(target=lambda: replies.append(call(client, "FIRST")))
        first.start()
        while "FIRST" not in peer.received:
            time.sleep(0.01)
        with pytest.raises(CommandNotSent, match="busy until the time-out"):
            call(client, "SECOND", max_timeout=0.1)
        assert replies == []
        proceed.set()
        first.join(20)
        assert replies == ["+ONE"]


def test_reply_past_its_deadline_delays_no_other_command():
    with connected(Peer(slowly(3, b"+ONE\r\n"), answering(b"+TWO\r\n")), timeout=0.6) as client:
        reply = send(client, "FIRST")
        time.sleep(0.4)
        assert call(client, "SECOND") == "+TWO"
        with pytest.raises(CommandOutcomeUnknown, match=r"FIRST was sent.*timed out"):
            reply.receive()


def test_receive_waits_while_another_thread_reads_the_reply():
    replies = []
    with connected(Peer(slowly(0.4, b"+ONE\r\n", b"+TWO\r\n"))) as client:
        reply = send(client, "FIRST")
        other = call_second(client, replies)
        time.sleep(0.1)
        assert reply.receive() == "+ONE"
        other.join(PATIENCE)
    assert replies == ["+TWO"]


class Alarm(BaseException):
    """Raised by a signal handler, as Ctrl-C raises KeyboardInterrupt."""


@contextmanager
def alarm(seconds, act):
    """Call `act` in a signal handler, while this thread does something else."""
    before = signal.signal(signal.SIGALRM, lambda *_: act())
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_signal_handler_cannot_send_during_a_command():
    """Else it would read the interrupted command's reply, and that command the handler's."""
    errors = []
    with connected(Peer(slowly(0.5, b"+ONE\r\n", b"+TWO\r\n"))) as client:

        def act():
            try:
                call(client, "SECOND")
            except CommandNotSent as exc:
                errors.append(str(exc))

        with alarm(0.1, act):
            assert call(client, "FIRST") == "+ONE"
        [error] = errors
        assert error.startswith(
            "cannot send: this thread is already waiting for a reply from Faktory at 127.0.0.1:"
        )
        assert call(client, "THIRD") == "+TWO"


def test_signal_handler_cannot_receive_during_a_command():
    """The outcome is unknown. To report "not sent" would be wrong, and would free a lock."""
    raised = []
    with connected(Peer(slowly(0.5, b"+ONE\r\n", b"+TWO\r\n"))) as client:
        first = send(client, "FIRST")

        def act():
            with pytest.raises(CommandOutcomeUnknown, match="FIRST was sent"):
                first.receive()
            raised.append(True)

        with alarm(0.1, act):
            assert call(client, "SECOND") == "+TWO"
    assert raised == [True]


def test_disconnect_in_signal_handler_spoils_no_other_command():
    """It comes while SECOND waits for the reply to FIRST. SECOND does not connect again."""
    with connected(Peer(slowly(0.5, b"+ONE\r\n"), answering(b"+THREE\r\n"))) as client:
        first = send(client, "FIRST")
        with alarm(0.1, client.disconnect), pytest.raises(CommandNotSent):
            call(client, "SECOND")
        client.connect()
        third = send(client, "THIRD")
        with pytest.raises(CommandOutcomeUnknown, match="FIRST was sent"):
            first.receive()
        assert third.receive() == "+THREE"


def test_disconnect_in_signal_handler_leaves_outcome_unknown():
    with (
        connected(Peer(slowly(0.5, b"+ONE\r\n"))) as client,
        alarm(0.1, client.disconnect),
        pytest.raises(CommandOutcomeUnknown, match="FIRST was sent"),
    ):
        call(client, "FIRST")


def test_signal_handler_that_raises_leaves_connection_usable():
    def act():
        raise Alarm

    with connected(Peer(slowly(0.5, b"+ONE\r\n"), answering(b"+TWO\r\n"))) as client:
        reply = send(client, "FIRST")
        with alarm(0.1, act), pytest.raises(Alarm):
            reply.receive()
        replies = []
        call_second(client, replies).join(PATIENCE)
        assert replies == ["+TWO"]
        with pytest.raises(CommandOutcomeUnknown, match="waiting for the reply was interrupted"):
            reply.receive()


def test_no_command_waits_for_a_command_interrupted_in_send(monkeypatch):
    def interrupted_send(_stream, _command, _deadline):
        raise Alarm

    with connected(Peer(answering(b"+ONE\r\n"), answering(b"+TWO\r\n")), timeout=None) as client:
        with monkeypatch.context() as patched:
            patched.setattr(SocketStream, "send", interrupted_send)
            with pytest.raises(Alarm):
                call(client, "FIRST")
        assert call(client, "SECOND") == "+TWO"


def test_command_that_breaks_off_during_its_send_is_unknown():
    """A part of it was sent, and the server may have read it."""

    def hang_up(peer, conn):
        peer.greet(conn)
        conn.recv(1)

    with connected(Peer(hang_up, answering(b"+TWO\r\n"))) as client:
        with pytest.raises(CommandOutcomeUnknown, match="FIRST was sent"):
            send(client, f"FIRST {'x' * 50_000_000}")
        assert call(client, "SECOND") == "+TWO"


def test_forked_child_leaves_the_reply_to_its_parent():
    with connected(Peer(slowly(0.2, b"+ONE\r\n"))) as client:
        reply = send(client, "FIRST")
        pid = os.fork()
        if pid == 0:
            try:
                reply.receive()
            except CommandOutcomeUnknown:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert reply.receive() == "+ONE"


def test_reply_that_arrived_in_time_can_be_received_late():
    with connected(Peer(answering(b"+ONE\r\n")), timeout=0.3) as client:
        reply = send(client, "FIRST")
        time.sleep(0.5)
        assert reply.receive() == "+ONE"


def test_receive_waits_no_longer_than_the_timeout():
    with connected(Peer(slowly(5, b"+ONE\r\n")), timeout=0.5) as client:
        reply = send(client, "FIRST")
        since = time.monotonic()
        with pytest.raises(CommandOutcomeUnknown, match=r"FIRST was sent.*timed out"):
            reply.receive()
        assert time.monotonic() - since < 4


def test_missing_reply_is_unknown_and_next_command_reconnects():
    with connected(Peer(answering(b""), answering(b"+TWO\r\n"))) as client:
        reply = send(client, "FIRST")
        assert call(client, "SECOND") == "+TWO"
        with pytest.raises(CommandOutcomeUnknown, match="FIRST was sent"):
            reply.receive()


def test_disconnect_reads_it_first():
    peer = Peer(slowly(0.05, b"+ONE\r\n"))
    with connected(peer) as client:
        reply = send(client, "FIRST")
        client.disconnect()
        assert reply.receive() == "+ONE"


def test_error_of_send_is_reported_when_the_push_is_received():
    """A middleware that overlaps chunks gets the results of this one in its turn."""
    peer = Peer(answering(b"+ONE\r\n"))
    with connected(peer) as client:
        assert call(client, "FIRST") == "+ONE"
        peer.thread.join(PATIENCE)  # nobody listens any more
        with pytest.raises(CommandNotSent, match="no connection"):
            send(client, "SECOND")
        pending = Producer(client)._pending_push([{"jid": "jid-00000001"}])
        pending.send()
        [result] = pending.receive()
        assert result.status is PushStatus.NOT_SENT
        assert "no connection" in result.error


def test_client_that_is_not_connected_sends_nothing(faktory_url):
    with pytest.raises(CommandNotSent, match="not connected"):
        send(Client(faktory_url), "INFO")
