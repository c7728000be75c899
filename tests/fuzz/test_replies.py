"""A reply is read whole however it is cut, and what is no reply is read as none.

What is no reply ends in OSError or ValueError, after which the wire is thrown away.
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

# A machine that is busy is no finding.
unhurried = settings(deadline=None)

# Never reached where all is well: what ends a test that would hang.
SECONDS = 10

# A stream of whole replies, and what each of them is as text.
STREAMS = {
    "simple": (b"+OK\r\n", ["+OK"]),
    "simple, empty": (b"+\r\n", ["+"]),
    "simple, of many bytes a character": (
        "+é€\U0001f389\r\n".encode(),
        ["+é€\U0001f389"],
    ),
    "error": (b"-ERR no such job\r\n", ["-ERR no such job"]),
    "integer": (b":42\r\n", [":42"]),
    "bulk": (b"$5\r\nhello\r\n", ["$5\r\nhello"]),
    "bulk of a two-digit length": (b"$12\r\nhello, world\r\n", ["$12\r\nhello, world"]),
    "bulk with line ends inside": (b"$8\r\n\r\na\r\n\r\nb\r\n", ["$8\r\n\r\na\r\n\r\nb"]),
    "bulk of nothing but line ends": (b"$4\r\n\r\n\r\n\r\n", ["$4\r\n\r\n\r\n"]),
    "bulk ending in half a line end": (b"$2\r\na\r\r\n", ["$2\r\na\r"]),
    "bulk that looks like replies": (b"$9\r\n+OK\r\n$-1\r\r\n", ["$9\r\n+OK\r\n$-1\r"]),
    "bulk, empty": (b"$0\r\n\r\n", ["$0\r\n"]),
    "bulk, null": (b"$-1\r\n", ["$-1"]),
    "bulk of many bytes a character": (
        "$9\r\né€\U0001f389\r\n".encode(),
        ["$9\r\né€\U0001f389"],
    ),
    "several": (
        "+OK\r\n$-1\r\n$2\r\né\r\n-ERR\r\n$0\r\n\r\n:1\r\n".encode(),
        ["+OK", "$-1", "$2\r\né", "-ERR", "$0\r\n", ":1"],
    ),
    "the same several times": (b"$1\r\n$\r\n" * 3, ["$1\r\n$"] * 3),
}
streams = pytest.mark.parametrize(("stream", "replies"), STREAMS.values(), ids=STREAMS)


class ChunkWire(Stream):
    """Has its chunks ready; then the peer has closed."""

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

    is_quiet = has_news = end = close = let_go = send


class PacedWire(SocketStream):
    """A real socket on which each chunk is sent when the reader asks for more, and not before.

    So the reader gets exactly these chunks, which a kernel would else join.
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


def cuts(stream):
    """The stream in one piece, in every two and every three, and byte by byte."""
    size = len(stream)
    yield [stream]
    for at in range(1, size):
        yield [stream[:at], stream[at:]]
    for at, then in itertools.combinations(range(1, size), 2):
        yield [stream[:at], stream[at:then], stream[then:]]
    yield [stream[at : at + 1] for at in range(size)]


def read(wire, count):
    deadline = time.monotonic() + SECONDS
    return [wire.read_reply(deadline) for _ in range(count)]


def read_all(wire):
    """The replies until the wire gives none, and the error that it gives then."""
    replies, error = [], None
    deadline = time.monotonic() + SECONDS
    while error is None:
        try:
            replies.append(wire.read_reply(deadline))
        except (OSError, ValueError) as exc:
            error = exc
    assert not isinstance(error, TimeoutError)
    return replies, error


# ---- whole replies, cut ------------------------------------------------------------------------


@streams
def test_replies_are_the_same_however_they_are_cut(stream, replies):
    for chunks in cuts(stream):
        wire = ChunkWire(chunks)
        assert read(wire, len(replies)) == replies, chunks
        assert not wire._buffer, chunks


@streams
def test_replies_are_the_same_however_they_are_cut_on_a_socket(pair, stream, replies):
    for chunks in cuts(stream):
        wire = PacedWire(*pair, chunks)
        assert read(wire, len(replies)) == replies, chunks
        assert not wire._buffer, chunks


simple = st.builds(
    lambda kind, text: (f"{kind}{text}\r\n".encode(), f"{kind}{text}"),
    st.sampled_from("+-:"),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")),
)
bulks = st.text(
    st.sampled_from("\r\n$+-09é€\U0001f389") | st.characters(exclude_categories=["Cs"]),
    max_size=200,
).map(lambda text: (bulk(text), bulk(text)[:-2].decode()))
exchanges = st.lists(simple | bulks | st.just((b"$-1\r\n", "$-1")), min_size=1, max_size=12)


@unhurried
@given(exchanges, st.data())
def test_longer_streams_are_the_same_however_they_are_cut(exchange, data):
    stream = b"".join(sent for sent, _ in exchange)
    places = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=20)))
    chunks = [stream[a:b] for a, b in itertools.pairwise([0, *places, len(stream)])]
    wire = ChunkWire(chunks)
    assert read(wire, len(exchange)) == [reply for _, reply in exchange]
    assert not wire._buffer


def test_a_bulk_larger_than_what_is_read_at_once_is_read_whole(pair):
    """On a socket with a reader and a writer that do not wait for each other."""
    mine, theirs = pair
    texts = ["é\r\n" * 100_000, "", "x" * 70_000]
    writer = threading.Thread(target=theirs.sendall, args=[b"".join(map(bulk, texts))])
    writer.start()
    assert read(SocketStream(mine), 3) == [bulk(text)[:-2].decode() for text in texts]
    writer.join()


# ---- cut off -----------------------------------------------------------------------------------


def whole(stream, replies):
    """How many bytes each reply has come with, and the reply."""
    at = 0
    for reply in replies:
        at += len(reply.encode()) + 2
        yield at, reply
    assert at == len(stream)


@streams
def test_a_stream_that_ends_anywhere_gives_what_was_whole_and_no_more(stream, replies):
    for size in range(len(stream)):
        came = [reply for at, reply in whole(stream, replies) if at <= size]
        cut_off = stream[:size]
        for chunks in ([cut_off], [cut_off[at : at + 1] for at in range(size)]):
            got, error = read_all(ChunkWire(chunks))
            assert (got, type(error)) == (came, ConnectionResetError), chunks


@streams
def test_a_peer_that_closes_anywhere_gives_what_was_whole_and_no_more(stream, replies):
    for size in range(len(stream)):
        came = [reply for at, reply in whole(stream, replies) if at <= size]
        mine, theirs = socket.socketpair()
        with mine, theirs:
            got, error = read_all(PacedWire(mine, theirs, [stream[:size]] if size else []))
        assert (got, type(error)) == (came, ConnectionResetError), size


@streams
def test_a_peer_that_falls_silent_anywhere_is_waited_for_until_the_deadline(stream, replies):
    for size in range(len(stream)):
        came = [reply for at, reply in whole(stream, replies) if at <= size]
        mine, theirs = socket.socketpair()
        with mine, theirs:
            theirs.sendall(stream[:size])
            wire = SocketStream(mine)
            assert read(wire, len(came)) == came
            with pytest.raises(TimeoutError):
                wire.read_reply(time.monotonic() + 0.002)


# ---- what is no reply --------------------------------------------------------------------------

# A length that int() would take and that is none, and a bulk as long as int() has it.
ODD_LENGTHS = {
    **dict.fromkeys([" 5", "5 ", "+5", "\u0665", "\uff15", "\t5", "5\n"], "hello"),
    **dict.fromkeys(["-0", "0_0", "-2", "-7"], ""),
    "1_0": "helloworld",
}
NO_LENGTHS = [
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


# Each is followed by a whole reply, as if nothing were wrong.
NO_REPLIES = [
    *(f"${length}\r\n{text}\r\n" for length, text in ODD_LENGTHS.items()),
    *(f"${length}\r\nhello\r\n" for length in NO_LENGTHS),
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


@pytest.mark.parametrize("stream", NO_REPLIES, ids=lambda stream: ascii(stream)[:40])
def test_what_is_no_reply_is_refused(stream):
    stream = stream if isinstance(stream, bytes) else stream.encode()
    with pytest.raises(ValueError):  # noqa: PT011 - which one is not promised
        ChunkWire([stream + b"+NEXT\r\n"]).read_reply(None)


@pytest.mark.parametrize("length", [2**31, 2**63, 2**64, 10**4000], ids=int.bit_length)
def test_a_length_that_never_comes_is_waited_for_until_the_deadline(pair, length):
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
def test_of_garbage_comes_text_or_one_of_the_two_errors_and_an_end(stream):
    # read_all lets no other error pass, and a reader that made replies of nothing would not end.
    replies, _ = read_all(ChunkWire([stream]))
    assert all(type(reply) is str for reply in replies)
    assert len(replies) <= len(stream) // 2  # a reply has at least its line end


@unhurried
@given(garbage)
@example(b"$-3\r\nabcdef")
def test_garbage_is_the_same_however_it_is_cut(stream):
    byte_by_byte = [stream[at : at + 1] for at in range(len(stream))]
    at_once, error = read_all(ChunkWire([stream]))
    again, same = read_all(ChunkWire(byte_by_byte))
    assert (again, type(same)) == (at_once, type(error))


# RESP as its specification has it, but for a CR or an LF alone, which may stand in any line.
_LINE = re.compile(rb"[+:-](?:(?!\r\n).)*\r\n|\$-1\r\n", re.DOTALL)
_HEAD = re.compile(rb"\$(\d+)\r\n")


def told_by_the_rules(stream):
    """The replies of a stream up to where it is no RESP: another reader, of whole streams only."""
    replies = []
    while True:
        line, head = _LINE.match(stream), _HEAD.match(stream)
        if line:
            size = line.end()
        elif head and stream[(size := head.end() + int(head[1]) + 2) - 2 : size] == b"\r\n":
            pass
        else:
            return replies
        try:
            replies.append(stream[: size - 2].decode())
        except UnicodeDecodeError:
            return replies
        stream = stream[size:]


@unhurried
@given(garbage)
def test_whatever_comes_before_garbage_is_read_first(stream):
    replies, _ = read_all(ChunkWire([stream]))
    told = told_by_the_rules(stream)
    assert replies[: len(told)] == told


@unhurried
@given(garbage)
@example(b"OK\r\n")
def test_of_garbage_nothing_is_read_that_is_no_reply(stream):
    replies, _ = read_all(ChunkWire([stream]))
    assert replies == told_by_the_rules(stream)


# ---- on a connection ---------------------------------------------------------------------------


def connected(server, seconds):
    """A connection that is closed at the end of the block, however the block ends."""
    port = int(server.url.rpartition(":")[2])
    return closing(Connection(Address("127.0.0.1", port), dict, seconds))


class Bad:
    """Answers the first command with `reply`, and from the next connection on says who it is."""

    def __init__(self, reply, closes):
        self._reply = reply
        self._closes = closes
        self.connections = 0

    def __call__(self, peer):
        self.connections += 1
        for command in peer:
            if self.connections > 1:
                peer.say(f"+{command}\r\n".encode())
                continue
            peer.say(self._reply)
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
    pytest.param(b"$4\r\nhello\r\n", False, id="longer than told"),
    pytest.param(b"hello\r\n", False, id="no kind"),
]


@pytest.mark.parametrize(("reply", "closes"), BAD)
def test_after_a_bad_reply_the_next_command_has_a_new_connection_and_its_own_answer(reply, closes):
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
            id="a reply too many",
        ),
        pytest.param(
            b"$4\r\nhello\r\n+SURPLUS\r\n",
            id="a bulk longer than told",
        ),
    ],
)
def test_what_came_too_much_is_nobodys_answer(reply):
    with ScriptedServer(Bad(reply, closes=False)) as server, connected(server, 2) as connection:
        with suppress(
            CommandOutcomeUnknown
        ):  # of which of the two it is that ends so, nothing is claimed
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
def test_a_bad_greeting_means_that_nothing_was_sent(greeting):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet():
            peer, _ = listening.accept()
            with peer:
                peer.sendall(greeting)
                peer.shutdown(socket.SHUT_WR)
                peer.recv(1)  # until the client has gone

        greeting_once = threading.Thread(target=greet)
        greeting_once.start()
        server = Address("127.0.0.1", listening.getsockname()[1], password="s3cret")
        try:
            with (
                closing(Connection(server, dict, 2)) as connection,
                pytest.raises(CommandNotSent) as caught,
            ):
                connection.call("FIRST")
        finally:
            greeting_once.join(SECONDS)
        assert not greeting_once.is_alive()
        assert "s3cret" not in str(caught.value)
