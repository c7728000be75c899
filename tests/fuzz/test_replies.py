"""RESP replies that arrive in pieces, cut off or malformed.

A malformed reply raises OSError or ValueError, after which the raw is discarded.
"""

from __future__ import annotations

import itertools
import re
import socket
import threading
import time
from contextlib import closing, suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from faktory_unique import CommandNotSent, CommandOutcomeUnknown
from faktory_unique.client.address import Address
from faktory_unique.client.connection import Connection
from faktory_unique.client.stream import SocketStream, Stream
from tests.integration.scripted import ScriptedServer, bulk

# A slow example on a busy machine is not a failure.
unhurried = settings(deadline=None)

# Ends a test that would hang; not reached otherwise.
SECONDS = 10

# Bytes of whole replies, and the text of each reply.
EXCHANGES = {
    "simple": (b"+OK\r\n", ["+OK"]),
    "simple, empty": (b"+\r\n", ["+"]),
    "simple, of multi-byte characters": (
        "+é€\U0001f389\r\n".encode(),
        ["+é€\U0001f389"],
    ),
    "error": (b"-ERR no such job\r\n", ["-ERR no such job"]),
    "integer": (b":42\r\n", [":42"]),
    "bulk": (b"$5\r\nhello\r\n", ["$5\r\nhello"]),
    "bulk of a two-digit length": (b"$12\r\nhello, world\r\n", ["$12\r\nhello, world"]),
    "bulk with line ends inside": (b"$8\r\n\r\na\r\n\r\nb\r\n", ["$8\r\n\r\na\r\n\r\nb"]),
    "bulk of line ends only": (b"$4\r\n\r\n\r\n\r\n", ["$4\r\n\r\n\r\n"]),
    "bulk ending in half a line end": (b"$2\r\na\r\r\n", ["$2\r\na\r"]),
    "bulk that looks like replies": (b"$9\r\n+OK\r\n$-1\r\r\n", ["$9\r\n+OK\r\n$-1\r"]),
    "bulk, empty": (b"$0\r\n\r\n", ["$0\r\n"]),
    "bulk, null": (b"$-1\r\n", ["$-1"]),
    "bulk of multi-byte characters": (
        "$9\r\né€\U0001f389\r\n".encode(),
        ["$9\r\né€\U0001f389"],
    ),
    "several": (
        "+OK\r\n$-1\r\n$2\r\né\r\n-ERR\r\n$0\r\n\r\n:1\r\n".encode(),
        ["+OK", "$-1", "$2\r\né", "-ERR", "$0\r\n", ":1"],
    ),
    "the same several times": (b"$1\r\n$\r\n" * 3, ["$1\r\n$"] * 3),
}
exchanges = pytest.mark.parametrize(("raw", "replies"), EXCHANGES.values(), ids=EXCHANGES)


class ChunkStream(Stream):
    """Reads these chunks; then the peer has closed."""

    def __init__(self, chunks):
        super().__init__()
        self._chunks = iter(chunks)

    def _read_more(self, deadline):
        chunk = next(self._chunks, None)
        if chunk is None:
            raise ConnectionResetError("no more chunks")
        self._buffer += chunk

    def send(self, command, deadline):
        raise NotImplementedError  # nothing is sent over it

    is_idle = wait_readable = end = close = abort = detach = send


class PacedStream(SocketStream):
    """A real socket on which each chunk is sent only when the reader asks for more.

    So the reader gets exactly these chunks; else the kernel would join them.
    """

    def __init__(self, mine, theirs, chunks):
        super().__init__(mine)
        self._theirs = theirs
        self._chunks = iter(chunks)

    def _read_more(self, deadline):
        chunk = next(self._chunks, None)
        if chunk is None:
            self._theirs.shutdown(socket.SHUT_WR)
        else:
            self._theirs.sendall(chunk)
        super()._read_more(deadline)


@pytest.fixture
def pair():
    mine, theirs = socket.socketpair()
    with mine, theirs:
        yield mine, theirs


def cuts(raw):
    """Yield the bytes in one piece, in every two and every three pieces, and byte by byte."""
    size = len(raw)
    yield [raw]
    for at in range(1, size):
        yield [raw[:at], raw[at:]]
    for at, then in itertools.combinations(range(1, size), 2):
        yield [raw[:at], raw[at:then], raw[then:]]
    yield [raw[at : at + 1] for at in range(size)]


def read(stream, count):
    deadline = time.monotonic() + SECONDS
    return [stream.read_reply(deadline) for _ in range(count)]


def read_all(stream):
    """Return the replies until the stream raises, and the error."""
    replies, error = [], None
    deadline = time.monotonic() + SECONDS
    while error is None:
        try:
            replies.append(stream.read_reply(deadline))
        except (OSError, ValueError) as exc:
            error = exc
    assert not isinstance(error, TimeoutError)
    return replies, error


# ---- whole replies in pieces --------------------------------------------------------------------


@exchanges
def test_replies_in_pieces_are_read_whole(raw, replies):
    for chunks in cuts(raw):
        stream = ChunkStream(chunks)
        assert read(stream, len(replies)) == replies, chunks
        assert not stream._buffer, chunks


@exchanges
def test_replies_in_pieces_on_a_socket_are_read_whole(pair, raw, replies):
    for chunks in cuts(raw):
        stream = PacedStream(*pair, chunks)
        assert read(stream, len(replies)) == replies, chunks
        assert not stream._buffer, chunks


simple = st.builds(
    lambda kind, text: (f"{kind}{text}\r\n".encode(), f"{kind}{text}"),
    st.sampled_from("+-:"),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")),
)
bulks = st.text(
    st.sampled_from("\r\n$+-09é€\U0001f389") | st.characters(exclude_categories=["Cs"]),
    max_size=200,
).map(lambda text: (bulk(text), bulk(text)[:-2].decode()))
random_exchanges = st.lists(simple | bulks | st.just((b"$-1\r\n", "$-1")), min_size=1, max_size=12)


@unhurried
@given(random_exchanges, st.data())
def test_many_replies_in_pieces_are_read_whole(exchange, data):
    raw = b"".join(sent for sent, _ in exchange)
    places = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=20)))
    chunks = [raw[a:b] for a, b in itertools.pairwise([0, *places, len(raw)])]
    stream = ChunkStream(chunks)
    assert read(stream, len(exchange)) == [reply for _, reply in exchange]
    assert not stream._buffer


def test_bulk_larger_than_one_read_is_read_whole(pair):
    """Reader and writer of the socket do not wait for each other."""
    mine, theirs = pair
    texts = ["é\r\n" * 100_000, "", "x" * 70_000]
    writer = threading.Thread(target=theirs.sendall, args=[b"".join(map(bulk, texts))])
    writer.start()
    assert read(SocketStream(mine), 3) == [bulk(text)[:-2].decode() for text in texts]
    writer.join()


# ---- cut off -----------------------------------------------------------------------------------


def whole(raw, replies):
    """Yield each reply, after the number of bytes up to its end."""
    at = 0
    for reply in replies:
        at += len(reply.encode()) + 2
        yield at, reply
    assert at == len(raw)


@exchanges
def test_stream_cut_off_gives_its_whole_replies_only(raw, replies):
    for size in range(len(raw)):
        expected = [reply for at, reply in whole(raw, replies) if at <= size]
        cut_off = raw[:size]
        for chunks in ([cut_off], [cut_off[at : at + 1] for at in range(size)]):
            got, error = read_all(ChunkStream(chunks))
            assert (got, type(error)) == (expected, ConnectionResetError), chunks


@exchanges
def test_peer_that_closes_gives_its_whole_replies_only(raw, replies):
    for size in range(len(raw)):
        expected = [reply for at, reply in whole(raw, replies) if at <= size]
        mine, theirs = socket.socketpair()
        with mine, theirs:
            got, error = read_all(PacedStream(mine, theirs, [raw[:size]] if size else []))
        assert (got, type(error)) == (expected, ConnectionResetError), size


@exchanges
def test_silent_peer_is_waited_for_until_the_deadline(raw, replies):
    for size in range(len(raw)):
        expected = [reply for at, reply in whole(raw, replies) if at <= size]
        mine, theirs = socket.socketpair()
        with mine, theirs:
            theirs.sendall(raw[:size])
            stream = SocketStream(mine)
            assert read(stream, len(expected)) == expected
            with pytest.raises(TimeoutError):
                stream.read_reply(time.monotonic() + 0.002)


# ---- malformed replies -------------------------------------------------------------------------

# An invalid length that int() accepts, and a bulk of the length that int() returns.
ODD_LENGTHS = {
    **dict.fromkeys([" 5", "5 ", "+5", "\u0665", "\uff15", "\t5", "5\n"], "hello"),
    **dict.fromkeys(["-0", "0_0", "-2", "-7"], ""),
    "1_0": "helloworld",
}
BAD_LENGTHS = [
    "",
    "-",
    "x",
    "5x",
    "0x5",
    "5.0",
    "1e1",
    "nan",
    "--1",
    "- 1",
    "\x00",
    "\x1f5",
    "9" * 5000,
]


# Each is followed by a whole, valid reply.
BAD_REPLIES = [
    *(f"${length}\r\n{text}\r\n" for length, text in ODD_LENGTHS.items()),
    *(f"${length}\r\nhello\r\n" for length in BAD_LENGTHS),
    "$5\r\nhelloXY",
    "$4\r\nhello\r\n",
    "$6\r\nhello\r\n",
    "$0\r\nXY",
    "$1\r\na\n\r",
    "\r\n",
    "OK\r\n",
    " +OK\r\n",
    "HTTP/1.1 400 Bad Request\r\n",
    "*1\r\n+OK\r\n",
    pytest.param(b"+\xff\r\n"),
    pytest.param(b"+\xed\xa0\x80\r\n"),  # a surrogate
    pytest.param(b"$1\r\n\xc3\r\n"),  # half a character
    pytest.param(b"$\xff\r\n"),
]


@pytest.mark.parametrize("raw", BAD_REPLIES, ids=lambda raw: ascii(raw)[:40])
def test_malformed_reply_is_refused(raw):
    raw = raw if isinstance(raw, bytes) else raw.encode()
    with pytest.raises(ValueError):  # noqa: PT011  # its text is not promised
        ChunkStream([raw + b"+NEXT\r\n"]).read_reply(None)


@pytest.mark.parametrize("length", [2**31, 2**63, 2**64, 10**4000], ids=int.bit_length)
def test_bulk_that_never_ends_is_waited_for_until_the_deadline(pair, length):
    mine, theirs = pair
    theirs.sendall(b"$%d\r\nhello\r\n" % length)
    with pytest.raises((TimeoutError, ValueError)):
        SocketStream(mine).read_reply(time.monotonic() + 0.05)


pieces = (
    st.sampled_from([b"\r\n", b"\r", b"\n", b"$", b"+", b"-", b":", b"*", b"-1", b"OK", b"\xc3"])
    | st.integers(-3, 12).map(lambda n: b"$%d\r\n" % n)
    | st.binary(max_size=4)
)
garbage = st.binary(max_size=60) | st.lists(pieces, max_size=20).map(b"".join)


@unhurried
@given(garbage)
def test_garbage_gives_text_or_one_of_two_errors(raw):
    # read_all passes no other error. It would not end if replies were made of no bytes.
    replies, _ = read_all(ChunkStream([raw]))
    assert all(type(reply) is str for reply in replies)
    assert len(replies) <= len(raw) // 2  # a reply has at least its line end


@unhurried
@given(garbage)
@example(b"$-3\r\nabcdef")
def test_garbage_in_pieces_gives_the_same(raw):
    byte_by_byte = [raw[at : at + 1] for at in range(len(raw))]
    at_once, error = read_all(ChunkStream([raw]))
    again, same = read_all(ChunkStream(byte_by_byte))
    assert (again, type(same)) == (at_once, type(error))


# RESP as its specification has it, but a lone CR or LF is allowed in a line.
_LINE = re.compile(rb"[+:-](?:(?!\r\n).)*\r\n|\$-1\r\n", re.DOTALL)
_HEAD = re.compile(rb"\$(\d+)\r\n")


def parse_by_specification(raw):
    """Return the replies before the first that is malformed or cut off: an independent reader."""
    replies = []
    while True:
        line, head = _LINE.match(raw), _HEAD.match(raw)
        if line:
            size = line.end()
        elif head and raw[(size := head.end() + int(head[1]) + 2) - 2 : size] == b"\r\n":
            pass
        else:
            return replies
        try:
            replies.append(raw[: size - 2].decode())
        except UnicodeDecodeError:
            return replies
        raw = raw[size:]


@unhurried
@given(garbage)
def test_replies_before_garbage_are_read(raw):
    replies, _ = read_all(ChunkStream([raw]))
    expected = parse_by_specification(raw)
    assert replies[: len(expected)] == expected


@unhurried
@given(garbage)
@example(b"OK\r\n")
def test_garbage_is_not_read_as_replies(raw):
    replies, _ = read_all(ChunkStream([raw]))
    assert replies == parse_by_specification(raw)


# ---- on a connection ---------------------------------------------------------------------------


def connected(server, seconds):
    """Return a connection that is closed when its `with` block ends."""
    port = int(server.url.rpartition(":")[2])
    return closing(Connection(Address("127.0.0.1", port), dict, seconds))


class Bad:
    """Answers the first command with `reply`; on later connections, repeats each command."""

    def __init__(self, reply, closes):
        self._reply = reply
        self._closes = closes
        self.connections = 0

    def __call__(self, peer):
        self.connections += 1
        for command in peer:
            if self.connections > 1:
                peer.send(f"+{command}\r\n".encode())
                continue
            peer.send(self._reply)
            if self._closes:
                return


BAD = [
    pytest.param(b"", True, id="none"),
    pytest.param(b"+OK", True, id="half a line"),
    pytest.param(b"$9\r\nhel", True, id="half a bulk"),
    pytest.param(b"$5\r\nhello", True, id="a bulk without its end"),
    pytest.param(b"", False, id="none, and silence"),
    pytest.param(b"$9\r\nhel", False, id="half a bulk, and silence"),
    pytest.param(b"$99999999999999999999\r\nhel", False, id="a huge bulk"),
    pytest.param(b"+\xff\r\n", False, id="no UTF-8"),
    pytest.param(b"$1\r\n\xc3\r\n", False, id="no UTF-8 in a bulk"),
    pytest.param(b"$x\r\n", False, id="no length"),
    pytest.param(b"$-2\r\n\r\n", False, id="negative length"),
    pytest.param(b"$ 5\r\nhello\r\n", False, id="odd length"),
    pytest.param(b"$4\r\nhello\r\n", False, id="longer than announced"),
    pytest.param(b"hello\r\n", False, id="no kind"),
]


@pytest.mark.parametrize(("reply", "closes"), BAD)
def test_command_after_a_bad_reply_reconnects(reply, closes):
    bad = Bad(reply, closes)
    with ScriptedServer(bad) as server, connected(server, 0.3) as connection:
        with pytest.raises(CommandOutcomeUnknown):
            connection.call("FIRST")
        assert connection.call("SECOND") == "+SECOND"
        assert connection.call("THIRD") == "+THIRD"
    assert bad.connections == 2


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(
            b"+OK\r\n+SURPLUS\r\n",
            id="a second reply",
        ),
        pytest.param(
            b"$4\r\nhello\r\n+SURPLUS\r\n",
            id="a bulk longer than announced",
        ),
    ],
)
def test_surplus_bytes_are_no_commands_reply(reply):
    with ScriptedServer(Bad(reply, closes=False)) as server, connected(server, 2) as connection:
        with suppress(CommandOutcomeUnknown):  # the first command may fail or not
            connection.call("FIRST")
        assert connection.call("SECOND") == "+SECOND"


GREETINGS = [
    b"+HI\r\n",
    b"+HI {\r\n",
    b'+HI {"v":1}\r\n',
    b"+HI {}\r\n",
    b"-ERR no\r\n",
    b"$-1\r\n",
    b"+\xff\r\n",
    b"",
    b"+HI []\r\n",
    b"+HI 2\r\n",
    b'+HI {"v":2,"s":"a","i":"many"}\r\n',
    b'+HI {"v":2,"s":"a","i":null}\r\n',
    b"+HI " + b"[" * 100_000 + b"\r\n",
]


@pytest.mark.parametrize("greeting", GREETINGS, ids=lambda greeting: ascii(greeting)[:40])
def test_bad_greeting_means_that_nothing_was_sent(greeting):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet():
            peer, _ = listening.accept()
            with peer:
                peer.sendall(greeting)
                peer.shutdown(socket.SHUT_WR)
                peer.recv(1)  # until the client closes

        greeting_once = threading.Thread(target=greet)
        greeting_once.start()
        address = Address("127.0.0.1", listening.getsockname()[1], password="s3cret")
        try:
            with (
                closing(Connection(address, dict, 2)) as connection,
                pytest.raises(CommandNotSent) as caught,
            ):
                connection.call("FIRST")
        finally:
            greeting_once.join(SECONDS)
        assert not greeting_once.is_alive()
        assert "s3cret" not in str(caught.value)
