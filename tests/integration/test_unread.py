"""A command whose reply is asked for later: what else the connection is used for meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

from faktory_unique import Client, NotSent, OutcomeUnknown, Refused
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


def test_so_does_one_that_is_asked_for_later_itself():
    with connected(Peer(slowly(0.05, b"+ONE\r\n", b"-ERR no\r\n"))) as client:
        first, second = client.send("FIRST"), client.send("SECOND")
        with pytest.raises(Refused, match="no"):
            second()
        assert first() == "+ONE"


def test_other_threads_wait_until_it_was_asked_for():
    said = []
    with connected(Peer(answering(b"+ONE\r\n", b"+TWO\r\n"))) as client:
        reply = client.send("FIRST")
        other = threading.Thread(target=lambda: said.append(client.call("SECOND")))
        other.start()
        other.join(0.2)
        assert said == []
        assert reply() == "+ONE"
        other.join(5)
        assert said == ["+TWO"]


def test_a_reply_that_has_arrived_in_time_is_read_however_late():
    with connected(Peer(answering(b"+ONE\r\n")), timeout=0.3) as client:
        reply = client.send("FIRST")
        time.sleep(0.5)
        assert reply() == "+ONE"


def test_one_that_has_not_is_waited_for_no_longer():
    with connected(Peer(slowly(1.5, b"+ONE\r\n")), timeout=0.5) as client:
        reply = client.send("FIRST")
        since = time.monotonic()
        with pytest.raises(OutcomeUnknown, match=r"FIRST was sent.*timed out"):
            reply()
        assert time.monotonic() - since < 1


def test_where_there_is_none_the_outcome_is_unknown_and_the_next_command_has_a_new_connection():
    with connected(Peer(answering(b""), answering(b"+TWO\r\n"))) as client:
        reply = client.send("FIRST")
        assert client.call("SECOND") == "+TWO"
        with pytest.raises(OutcomeUnknown, match="FIRST was sent"):
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
        with pytest.raises(NotSent, match="no connection"):
            reply()


def test_a_client_that_is_not_connected_sends_nothing(faktory_url):
    with pytest.raises(NotSent, match="not connected"):
        Client(faktory_url).send("INFO")
