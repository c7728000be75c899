"""The client: replies, time-outs, lost connections, login, TLS, heartbeat."""

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
from tests.patience import PATIENCE, wait_for


def push_batch(client):
    return client._commands.push_batch([])


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 4096])
def test_reply_that_arrives_in_pieces_is_read_whole(chunk):
    """CRLF inside a bulk, characters cut in two, a length cut in two."""
    count = 200 if chunk == 4096 else 2
    rejections = {f"é🎉-{n:08}": "é🎉 text" for n in range(count)}
    raw = json.dumps(rejections, ensure_ascii=False)
    with connected(Peer(answering(bulk(raw), bulk("{}"), chunk=chunk))) as client:
        assert push_batch(client) == rejections
        assert push_batch(client) == {}


def test_large_reply_is_read_whole():
    rejections = {f"jid-{n:08}": "x" * 100 for n in range(20_000)}
    with connected(Peer(answering(bulk(json.dumps(rejections))))) as client:
        assert push_batch(client) == rejections


@pytest.mark.parametrize("cut", [b"", b"$", b"$12", b"$12\r\n", b"$2\r\n{", b"$2\r\n{}", b"+O"])
def test_reply_cut_off_is_unknown_and_next_command_reconnects(cut):
    peer = Peer(answering(cut), answering(bulk("{}")))
    with connected(peer) as client:
        with pytest.raises(CommandOutcomeUnknown, match="PUSHB was sent"):
            push_batch(client)
        assert push_batch(client) == {}


@pytest.mark.parametrize(
    "nonsense", [b"$x\r\n", b"+OK\r\n", bulk("no json"), bulk("[]"), b"\xff\r\n"]
)
def test_malformed_reply_to_pushb_is_an_unknown_outcome(nonsense):
    """Stock push_bulk returns {} for it, which means that all jobs were pushed (facts §4)."""
    with connected(Peer(answering(nonsense))) as client, pytest.raises(CommandOutcomeUnknown):
        push_batch(client)


def test_fetched_job_that_is_not_json_is_an_unknown_outcome():
    peer = Peer(answering(b"+OK\r\n"), answering(bulk("no json")))
    with connected(peer, role="consumer") as client:
        time.sleep(0.2)  # the heartbeat, on the first connection
        with pytest.raises(CommandOutcomeUnknown, match="FETCH is not JSON"):
            client._fetch(["default"])


def test_late_reply_is_never_taken_for_the_next_commands():
    """In stock pyfaktory, a push after one that timed out gets its reply (facts §4)."""

    def late(peer, conn):
        peer.greet(conn)
        peer.receive(conn)
        time.sleep(1.2)
        with suppress(OSError):
            conn.sendall(bulk('{"jid-00000001": "late"}'))

    peer = Peer(late, answering(bulk('{"jid-00000002": "in time"}')))
    with connected(peer, timeout=0.8) as client:
        with pytest.raises(CommandOutcomeUnknown, match="timed out"):
            push_batch(client)
        assert push_batch(client) == {"jid-00000002": "in time"}


def test_timeout_limits_the_whole_call_not_each_read():
    """A peer that sends a byte now and then does not block a producer for ever."""

    def drip(peer, conn):
        peer.greet(conn)
        peer.receive(conn)
        try:
            for byte in b"$1000\r\n" + b"x" * 1000:
                conn.sendall(bytes([byte]))
                time.sleep(0.1)
        except OSError:
            pass

    with connected(Peer(drip), timeout=0.5) as client:
        since = time.monotonic()
        with pytest.raises(CommandOutcomeUnknown, match="timed out"):
            client._commands.call("PUSHB []", max_timeout=60)  # it lengthens no time-out
        assert time.monotonic() - since < 50  # the whole reply takes 100 s


def test_fetch_waits_for_a_job_beyond_a_short_timeout():
    """The server replies to FETCH after two seconds if no job has come."""

    def late(peer, conn):
        peer.greet(conn)
        while (command := peer.receive(conn)) not in {None, "END"}:
            time.sleep(1.5 if command.startswith("FETCH") else 0)
            conn.sendall(b"$-1\r\n" if command.startswith("FETCH") else b"+OK\r\n")

    peer = Peer(late, late)  # heartbeats have a connection of their own
    with connected(peer, role="consumer", timeout=1) as client:
        assert client._fetch(["default"]) is None


@pytest.mark.parametrize("parting", [b"", b"-ERR shutdown in progress\r\n"])
def test_connection_ended_by_peer_is_replaced_before_sending(parting):
    def leave(peer, conn):
        peer.greet(conn)
        conn.sendall(parting)

    peer = Peer(leave, answering(bulk("{}")))
    with connected(peer) as client:
        time.sleep(0.1)
        assert push_batch(client) == {}
    assert [line.split()[0] for line in peer.received] == ["HELLO", "HELLO", "PUSHB"]


def test_bytes_beyond_a_reply_are_no_reply_to_the_next_command():
    """They came in one read with it, and the connection stays open."""
    talkative = answering(b"+ONE\r\n+MORE\r\n", b"+LATE\r\n")
    with connected(Peer(talkative, answering(b"+TWO\r\n"))) as client:
        assert client._commands.call("FIRST") == "+ONE"
        assert client._commands.call("SECOND") == "+TWO"


def test_command_without_a_connection_is_not_sent(new_faktory):
    server = new_faktory()
    with Client(server.url) as client:
        server.stop()
        with pytest.raises(CommandNotSent, match=r"no connection to Faktory at 127\.0\.0\.1:"):
            push_batch(client)
        server.start()
        assert push_batch(client) == {}


def test_refused_command_keeps_the_connection(faktory_url):
    with Client(faktory_url) as client:
        with pytest.raises(CommandRefused, match=r"^unknown command NONSENSE$"):
            client._commands.call("NONSENSE")
        assert client.info()["faktory"]["total_enqueued"] == 0


def test_errors_are_subclasses_of_pyfaktorys(faktory_url):
    """An `except` written for pyfaktory still catches them."""
    with Client(faktory_url) as client, pytest.raises(pyfaktory.FaktroyWorkProtocolError):
        client._commands.call("NONSENSE")
    with pytest.raises(pyfaktory.FaktroyWorkProtocolError):
        Client("tcp://127.0.0.1:1", timeout=1).connect()


def test_client_that_is_not_connected_says_what_to_do(faktory_url):
    with pytest.raises(CommandNotSent, match="call connect"):
        push_batch(Client(faktory_url))


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
    def test_password_may_have_any_character(self, new_faktory):
        password = "p@ss:w/rd %41é"
        server = new_faktory(password=password)
        with Client(f"tcp://:{quote(password, safe='')}@127.0.0.1:{server.port}") as client:
            assert client.info()
            assert password not in repr(client)
            assert password not in repr(client._address)

    def test_error_asks_for_a_missing_password(self, new_faktory):
        server = new_faktory(password="s3cret")
        with pytest.raises(AuthenticationFailed, match="asks for a password"):
            Client(f"tcp://127.0.0.1:{server.port}").connect()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


class TestTLS:
    @pytest.fixture
    def tls_url(self, authority, faktory_server):
        """The URL of a TLS proxy in front of the real Faktory."""
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

    def test_trusted_certificate_lets_commands_through(self, authority, tls_url):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with Client(tls_url, timeout=5, ssl_context=context) as client:
            for n in range(3):
                assert Producer(client).push(Job(jobtype="TLS", args=[n]))
            time.sleep(0.1)
            assert client.info()

    def test_unknown_certificate_is_refused_by_default(self, tls_url):
        """Stock pyfaktory verifies no certificate."""
        with pytest.raises(CommandNotSent, match="CERTIFICATE_VERIFY_FAILED"):
            Client(tls_url, timeout=5).connect()


@pytest.mark.parametrize("url", ["http://localhost:7419", "localhost:7419", "tcp://"])
def test_url_of_another_scheme_is_refused(url):
    with pytest.raises(ValueError, match="faktory_url"):
        Client(url)


@pytest.mark.parametrize("limit", [{"not_after": 0.001}, {"max_timeout": 0}])
@pytest.mark.parametrize("timeout", [None, 30])
def test_command_past_its_deadline_is_not_sent(faktory_url, limit, timeout):
    """A late ACK can end another worker's reservation."""
    with Client(faktory_url, timeout=timeout) as client:
        with pytest.raises(CommandNotSent, match="INFO not sent: its deadline passed"):
            client._commands.call("INFO", **limit)
        assert client._commands.call("INFO", not_after=time.monotonic() + PATIENCE)


@pytest.mark.parametrize("beat_period", [4, 61])
def test_beat_period_out_of_range_is_refused(beat_period):
    with pytest.raises(ValueError, match="beat_period"):
        Client("tcp://localhost", role="consumer", beat_period=beat_period)


def test_ipv6_server_is_reached_by_its_literal_address():
    try:
        peer = Peer(answering(bulk("{}")), address=("::1", 0), family=socket.AF_INET6)
    except OSError as exc:
        pytest.skip(f"no IPv6 on this machine: {exc}")
    with connected(peer) as client:
        assert push_batch(client) == {}


@pytest.mark.parametrize("url", ["tcp://[::1]:7419", "tcp://:p%40ss@localhost:7420"])
def test_client_like_a_stock_one_has_its_address(url):
    """A framework may have made the stock client."""
    stock = pyfaktory.Client(url)
    client = Client.like(stock, "producer")
    assert client.host == stock.host.strip("[]")
    assert (client.port, client.password) == (stock.port, stock.password)


def test_host_without_an_address_is_no_connection():
    with pytest.raises(CommandNotSent, match="no connection to Faktory at no-such-host"):
        Client("tcp://no-such-host.invalid:7419", timeout=5).connect()


def test_error_about_a_bad_port_does_not_quote_it():
    with pytest.raises(ValueError, match="the port must be a number") as caught:
        Client("tcp://:7419:s3cret")
    assert "s3cret" not in str(caught.value)


def test_waiting_for_other_threads_counts_into_the_timeout(new_faktory):
    """Forty threads use a server that hangs. Each fails after one time-out, not after forty."""
    server = new_faktory()
    with Client(server.url, timeout=1) as client:
        server.pause()
        since = time.monotonic()

        def push():
            with pytest.raises((CommandNotSent, CommandOutcomeUnknown)):
                push_batch(client)

        threads = [threading.Thread(target=push) for _ in range(40)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert time.monotonic() - since < 20
        server.resume()


def test_client_works_with_file_descriptors_above_1023(faktory_url):
    """select() cannot handle them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip(f"at most {hard} open files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with Client(faktory_url) as client:
            assert push_batch(client) == {}
            assert push_batch(client) == {}
    finally:
        for each in opened:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("timeout", [0, -1])
def test_timeout_of_zero_or_less_is_refused(timeout):
    with pytest.raises(ValueError, match="timeout"):
        Client("tcp://localhost", timeout=timeout)


class TestHeartbeat:
    def test_it_continues_during_fetch_and_after_a_restart(self, new_faktory):
        server = new_faktory()
        with Client(server.url, role="consumer", worker_id="beating-one", beat_period=5) as client:

            def beat_during_fetch():
                fetching = threading.Thread(target=client._fetch, args=(["default"],))
                fetching.start()
                client._beat()
                return fetching.is_alive(), fetching.join()

            # On a busy machine, a heartbeat can take longer than the two seconds of FETCH.
            assert any(beat_during_fetch()[0] for _ in range(10))
            server.restart()
            assert client._beat()

    def test_unknown_worker_sends_hello_again(self):
        """HELLO registers a worker."""
        peer = Peer(answering(b"+OK\r\n", b"-ERR unknown worker\r\n"), answering(b"+OK\r\n"))
        with connected(peer, role="consumer", worker_id="unknown-one") as client:
            time.sleep(0.2)  # the heartbeat's own first
            with pytest.raises(CommandRefused):
                client._beat()
            assert client._beat()

    def test_quiet_and_terminate_change_the_state(self):
        replies = [bulk('{"state":"quiet"}'), bulk('{"state":"terminate"}'), b"+OK\r\n"]

        def script(peer, conn):
            answering(*replies)(peer, conn)
            while peer.receive(conn) not in {None, "END"}:
                conn.sendall(b"+OK\r\n")

        peer = Peer(script)
        client = Client(peer.url, role="consumer", worker_id="listening-one", timeout=2)
        client.connect()
        wait_for(lambda: client.state.name == "QUIET")
        client._beat()
        assert client.state.name == "TERMINATING"
        client._beat()
        client.disconnect()
        beats = [json.loads(line.split(" ", 1)[1]) for line in peer.received if "BEAT" in line]
        assert [beat.get("current_state") for beat in beats] == [None, "quiet", "terminate"]
