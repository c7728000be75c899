"""The client: what is known of each command, whatever the network does to it."""

from __future__ import annotations

import json
import os
import resource
import socket
import ssl
import threading
import time
from contextlib import suppress
from urllib.parse import quote

import pyfaktory
import pytest
import trustme

from faktory_unique import (
    AuthenticationFailed,
    Client,
    CommandNotSent,
    CommandOutcomeUnknown,
    CommandRefused,
    Job,
    Producer,
)
from tests.integration.peer import Peer, answering, bulk, connected


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 4096])
def test_a_reply_is_read_whole_however_it_is_cut(chunk):
    """CRLF inside a bulk, characters cut in two, a length cut in two."""
    told = {"jid-00000001": "é🎉 text" * (200 if chunk == 4096 else 3)}
    raw = json.dumps(told, ensure_ascii=False)
    with connected(Peer(answering(bulk(raw), bulk("{}"), chunk=chunk))) as client:
        assert client.push_batch([]) == told
        assert client.push_batch([]) == {}


def test_a_large_reply_is_read_whole():
    told = {f"jid-{n:08}": "x" * 100 for n in range(20_000)}
    with connected(Peer(answering(bulk(json.dumps(told))))) as client:
        assert client.push_batch([]) == told


@pytest.mark.parametrize("cut", [b"", b"$", b"$12", b"$12\r\n", b"$2\r\n{", b"$2\r\n{}", b"+O"])
def test_a_reply_cut_off_is_an_unknown_outcome_and_the_next_command_has_a_new_connection(cut):
    peer = Peer(answering(cut), answering(bulk("{}")))
    with connected(peer) as client:
        with pytest.raises(CommandOutcomeUnknown, match="PUSHB was sent"):
            client.push_batch([])
        assert client.push_batch([]) == {}


@pytest.mark.parametrize(
    "nonsense", [b"$x\r\n", b"+OK\r\n", bulk("no json"), bulk("[]"), b"\xff\r\n"]
)
def test_an_answer_to_pushb_that_makes_no_sense_is_no_success(nonsense):
    """Stock push_bulk makes {} of it: "all fine" (facts §4)."""
    with connected(Peer(answering(nonsense))) as client, pytest.raises(CommandOutcomeUnknown):
        client.push_batch([])


def test_a_fetched_job_that_is_no_json_is_an_unknown_outcome():
    peer = Peer(answering(b"+OK\r\n"), answering(bulk("no json")))
    with connected(peer, role="consumer") as client:
        time.sleep(0.2)  # the heartbeat, on the first connection
        with pytest.raises(CommandOutcomeUnknown, match="FETCH is no JSON"):
            client._fetch(["default"])


def test_an_answer_that_comes_too_late_is_never_taken_for_the_next_commands():
    """Stock pyfaktory: the push after a timed-out one got its answer (facts §4)."""

    def late(peer, conn):
        peer.greet(conn)
        peer.hear(conn)
        time.sleep(1.2)
        with suppress(OSError):
            conn.sendall(bulk('{"jid-00000001": "late"}'))

    peer = Peer(late, answering(bulk('{"jid-00000002": "in time"}')))
    with connected(peer, timeout=0.8) as client:
        with pytest.raises(CommandOutcomeUnknown, match="timed out"):
            client.push_batch([])
        assert client.push_batch([]) == {"jid-00000002": "in time"}


def test_the_timeout_bounds_the_whole_call_not_each_read():
    """A peer that sends a byte now and then does not hold a producer for ever."""

    def drip(peer, conn):
        peer.greet(conn)
        peer.hear(conn)
        try:
            for byte in b"$100\r\n" + b"x" * 100:
                conn.sendall(bytes([byte]))
                time.sleep(0.1)
        except OSError:
            pass

    with connected(Peer(drip), timeout=0.5) as client:
        since = time.monotonic()
        with pytest.raises(CommandOutcomeUnknown, match="timed out"):
            client.push_batch([])
        assert time.monotonic() - since < 1


@pytest.mark.parametrize("parting", [b"", b"-ERR shutdown in progress\r\n"])
def test_a_connection_that_the_peer_has_ended_is_replaced_before_anything_is_sent(parting):
    def leave(peer, conn):
        peer.greet(conn)
        conn.sendall(parting)

    peer = Peer(leave, answering(bulk("{}")))
    with connected(peer) as client:
        time.sleep(0.1)
        assert client.push_batch([]) == {}
    assert [line.split()[0] for line in peer.heard] == ["HELLO", "HELLO", "PUSHB"]


def test_without_a_connection_nothing_was_sent(new_faktory):
    server = new_faktory()
    with Client(server.url) as client:
        server.stop()
        with pytest.raises(CommandNotSent, match=r"no connection to Faktory at 127\.0\.0\.1:"):
            client.push_batch([])
        server.start()
        assert client.push_batch([]) == {}


def test_what_the_server_refuses_is_refused_and_the_connection_kept(faktory_url):
    with Client(faktory_url) as client:
        with pytest.raises(CommandRefused, match=r"^unknown command NONSENSE$"):
            client.call("NONSENSE")
        assert client.info()["faktory"]["total_enqueued"] == 0


def test_errors_are_pyfaktorys_too(faktory_url):
    """An `except` written for pyfaktory still catches them."""
    with Client(faktory_url) as client, pytest.raises(pyfaktory.FaktroyWorkProtocolError):
        client.call("NONSENSE")
    with pytest.raises(pyfaktory.FaktroyWorkProtocolError):
        Client("tcp://127.0.0.1:1", timeout=1).connect()


def test_a_client_that_is_not_connected_says_what_to_do(faktory_url):
    with pytest.raises(CommandNotSent, match="call connect"):
        Client(faktory_url).push_batch([])


def test_disconnecting_is_harmless_at_any_time(new_faktory):
    server = new_faktory()
    client = Client(server.url)
    client.disconnect()
    client.connect()
    client.connect()
    server.kill()
    client.disconnect()
    client.disconnect()
    server.start()
    client.connect()
    assert client.info()
    client.disconnect()


def test_many_threads_share_a_client(faktory_url, sizes):
    with Client(faktory_url) as client:
        producer = Producer(client)

        def push(name):
            for n in range(50):
                assert producer.push(Job(jobtype="Threads", args=[name, n]))

        threads = [threading.Thread(target=push, args=(name,)) for name in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert sizes("enqueued") == 400


class TestLogin:
    def test_a_password_is_hashed_as_the_server_asks_and_may_hold_any_character(self, new_faktory):
        password = "p@ss:w/rd %41é"
        server = new_faktory(password=password)
        with Client(f"tcp://:{quote(password, safe='')}@127.0.0.1:{server.port}") as client:
            assert client.info()
            assert password not in repr(client)
            assert password not in repr(client._server)

    def test_a_missing_password_is_asked_for(self, new_faktory):
        server = new_faktory(password="s3cret")
        with pytest.raises(AuthenticationFailed, match="asks for a password"):
            Client(f"tcp://127.0.0.1:{server.port}").connect()

    @pytest.mark.parametrize(
        ("greeting", "told"),
        [
            (b'+HI {"v":3}\r\n', "speaks version 3"),
            (b"-ERR too busy\r\n", "does not greet"),
            (b"HTTP/1.1 400 Bad Request\r\n", "does not greet"),
        ],
    )
    def test_another_protocol_is_named(self, greeting, told):
        peer = Peer(lambda _peer, conn: conn.sendall(greeting))
        with pytest.raises(AuthenticationFailed, match=told):
            Client(peer.url, timeout=2).connect()

    def test_a_greeting_that_is_no_json_is_no_connection(self):
        peer = Peer(lambda _peer, conn: conn.sendall(b"+HI nonsense\r\n"))
        with pytest.raises(CommandNotSent):
            Client(peer.url, timeout=2).connect()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


class TestTLS:
    @pytest.fixture
    def tls_url(self, authority, faktory_server):
        """A TLS front before the real Faktory."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        listening = socket.create_server(("127.0.0.1", 0))
        stop = threading.Event()

        def pump(source, sink):
            try:
                while data := source.recv(4096):
                    sink.sendall(data)
            except OSError:
                pass
            finally:
                for end in (source, sink):
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

        def serve():
            while not stop.is_set():
                try:
                    raw, _ = listening.accept()
                    outside = context.wrap_socket(raw, server_side=True)
                except OSError:
                    continue
                inside = socket.create_connection(("127.0.0.1", faktory_server.port))
                for ends in ((outside, inside), (inside, outside)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp+tls://localhost:{listening.getsockname()[1]}"
        stop.set()
        listening.close()

    def test_a_trusted_certificate_lets_commands_through(self, authority, tls_url):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with Client(tls_url, timeout=5, ssl_context=context) as client:
            for n in range(3):
                assert Producer(client).push(Job(jobtype="TLS", args=[n]))
            time.sleep(0.1)
            assert client.info()

    def test_an_unknown_certificate_is_refused_by_default(self, tls_url):
        """Stock pyfaktory verifies none."""
        with pytest.raises(CommandNotSent, match="CERTIFICATE_VERIFY_FAILED"):
            Client(tls_url, timeout=5).connect()


@pytest.mark.parametrize("url", ["http://localhost:7419", "localhost:7419", "tcp://"])
def test_an_url_of_another_kind_is_refused(url):
    with pytest.raises(ValueError, match="faktory_url"):
        Client(url)


def test_a_command_whose_time_is_over_is_not_sent(faktory_url):
    """However long waiting for the connection took: a late ACK can end another's reservation."""
    with Client(faktory_url) as client:
        with pytest.raises(CommandNotSent, match="too late for INFO"):
            client.call("INFO", not_after=time.monotonic())
        assert client.call("INFO", not_after=time.monotonic() + 5)


@pytest.mark.parametrize("beat_period", [4, 61])
def test_a_heartbeat_that_the_server_would_not_bear_is_refused(beat_period):
    with pytest.raises(ValueError, match="beat_period"):
        Client("tcp://localhost", role="consumer", beat_period=beat_period)


def test_an_ipv6_server_is_reached_by_its_literal_address():
    try:
        peer = Peer(answering(bulk("{}")), address=("::1", 0), family=socket.AF_INET6)
    except OSError as exc:
        pytest.skip(f"no IPv6 on this machine: {exc}")
    with connected(peer) as client:
        assert client.push_batch([]) == {}


def test_a_host_that_has_no_address_is_no_connection():
    with pytest.raises(CommandNotSent, match="no connection to Faktory at no-such-host"):
        Client("tcp://no-such-host.invalid:7419", timeout=5).connect()


def test_a_port_that_is_none_is_refused_without_what_stands_there():
    with pytest.raises(ValueError, match="its port is no number") as caught:
        Client("tcp://:s3cret/x@host:7419")
    assert "s3cret" not in str(caught.value)


def test_waiting_for_other_threads_counts_into_the_timeout(new_faktory):
    """Twelve threads on a server that hangs: each knows after one time-out, not after twelve."""
    server = new_faktory()
    with Client(server.url, timeout=1) as client:
        server.pause()
        since = time.monotonic()

        def push():
            with pytest.raises((CommandNotSent, CommandOutcomeUnknown)):
                client.push_batch([])

        threads = [threading.Thread(target=push) for _ in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert time.monotonic() - since < 4
        server.resume()


def test_a_process_with_many_open_files_still_talks(faktory_url):
    """select() bears no descriptor above 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip(f"at most {hard} open files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with Client(faktory_url) as client:
            assert client.push_batch([]) == {}
            assert client.push_batch([]) == {}
    finally:
        for each in opened:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_timeout_of_nothing_is_refused(timeout):
    with pytest.raises(ValueError, match="timeout"):
        Client("tcp://localhost", timeout=timeout)


class TestHeartbeat:
    def test_it_goes_on_while_fetch_blocks_and_a_restart_is_survived(self, new_faktory):
        server = new_faktory()
        with Client(server.url, role="consumer", worker_id="beating-one", beat_period=5) as client:
            fetching = threading.Thread(target=client._fetch, args=(["default"],))
            fetching.start()
            since = time.monotonic()
            client._beat()
            assert time.monotonic() - since < 1
            fetching.join()
            server.restart()
            assert client._beat()

    def test_a_server_that_does_not_know_the_worker_is_greeted_again(self):
        """HELLO is what makes a worker known."""
        peer = Peer(answering(b"+OK\r\n", b"-ERR unknown worker\r\n"), answering(b"+OK\r\n"))
        with connected(peer, role="consumer", worker_id="unknown-one") as client:
            time.sleep(0.2)  # the heartbeat's own first
            with pytest.raises(CommandRefused):
                client._beat()
            assert client._beat()

    def test_quiet_and_terminate_are_heard(self):
        replies = [bulk('{"state":"quiet"}'), bulk('{"state":"terminate"}'), b"+OK\r\n"]

        def script(peer, conn):
            answering(*replies)(peer, conn)
            while peer.hear(conn) not in {None, "END"}:
                conn.sendall(b"+OK\r\n")

        peer = Peer(script)
        client = Client(peer.url, role="consumer", worker_id="hearing-one", timeout=2)
        client.connect()
        deadline = time.monotonic() + 3
        while client.state.name != "QUIET":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        client._beat()
        assert client.state.name == "TERMINATING"
        client._beat()
        client.disconnect()
        beats = [json.loads(line.split(" ", 1)[1]) for line in peer.heard if "BEAT" in line]
        assert [beat.get("current_state") for beat in beats] == [None, "quiet", "terminate"]
