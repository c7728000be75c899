"""HI and HELLO: which clients are accepted, and time limits (server/server.go:231-329)."""

import contextlib
import time

import pytest

from tests.patience import takes

# Lines that are not a HELLO; the server closes the connection.
REFUSED = [
    "HELLO",
    "HELLO ",
    "HELLO x",
    "HELLO []",
    'HELLO "x"',
    "HELLO  {}",
    "HELLO\t{}",
    "HELLO{}",
    " HELLO {}",
    "hello {}",
    "INFO",
    "",
    "HELLO {",
    "HELLO {}}",
    "HELLO {} {}",
    'HELLO {"v":2',
    'HELLO {"v":"2"}',
    'HELLO {"v":256}',
    'HELLO {"v":-1}',
    'HELLO {"v":2.0}',
    'HELLO {"wid":5}',
    'HELLO {"hostname":[]}',
    'HELLO {"username":1}',
    'HELLO {"labels":"x"}',
    'HELLO {"labels":[1]}',
    'HELLO {"pid":"1"}',
    'HELLO {"pid":1.5}',
    'HELLO {"rss_kb":true}',
    'HELLO {"pwdhash":1}',
    'HELLO {"StartedAt":1}',
    'HELLO {"startedat":"now"}',
]

ACCEPTED = [
    "HELLO {}",
    'HELLO {"v":2}',
    'HELLO {"v":0}',
    'HELLO {"v":1}',
    'HELLO {"v":3}',
    'HELLO {"v":255}',
    'HELLO {"V":2}',
    'HELLO {"v":null,"wid":null,"labels":null,"pid":null}',
    'HELLO {"wid":""}',
    'HELLO {"pwdhash":"x","username":"y"}',
    'HELLO {"more":{"v":"2"}}',
    'HELLO {"labels":[null,"a"],"pid":-1,"rss_kb":5,"hostname":""}',
    'HELLO {"StartedAt":"2020-01-01T00:00:00Z"}',
    'HELLO {"StartedAt":null}',
    "HELLO {}  ",
]


def test_hi(server):
    """The server speaks first, with the version of its protocol."""
    assert server.dial().greeting == '+HI {"v":2}'


@pytest.mark.parametrize("hello", REFUSED)
def test_refused(server, hello):
    """The server closes the connection without a reply to a bad HELLO."""
    assert server.dial().ask(hello) is None


@pytest.mark.parametrize("hello", ACCEPTED)
def test_accepted(server, hello):
    """A HELLO needs no field, and may have unknown ones."""
    line = server.dial()
    assert line.ask(hello) == "+OK"
    assert line.ask("PUSHB []") == "{}"


def test_commands_behind_hello(server):
    """Commands may be sent before the reply to HELLO."""
    line = server.dial()
    line.send('HELLO {"v":2}\nPUSHB []\nQUEUE LATENCY\nEND\n')
    assert [line.reply() for _ in range(4)] == ["+OK", "{}", "{}", None]


def test_commands_behind_a_refused_hello(server):
    """Commands after a refused HELLO are ignored."""
    line = server.dial()
    line.send('HELLO {"v":"2"}\nPUSHB []\n')
    assert line.reply() is None


def test_hello_once(line):
    """A second HELLO is an unknown command."""
    assert line.hello() == "-ERR unknown command HELLO"


def test_silence_before_hello(server):
    """The server closes a connection without a HELLO after two seconds."""

    def silence():
        assert server.dial().reply() is None

    assert takes(silence, least=1.9, below=3)


def test_slow_hello(server):
    """The two seconds are for the whole HELLO, even if it is sent in pieces."""
    line = server.dial()
    line.send('HELLO {"v":2')
    for _ in range(4):
        time.sleep(0.6)
        with contextlib.suppress(ConnectionError):
            line.send(" ")
    with contextlib.suppress(ConnectionError):
        line.send("}\n")
    assert line.reply() is None


def test_silence_after_hello(server):
    """After HELLO there is no time limit."""
    line = server.producer()
    time.sleep(2.3)
    assert line.ask("PUSHB []") == "{}"


def test_unfinished_line(server):
    """A line without an end is ignored when the client disconnects."""
    line = server.producer()
    line.send('PUSHB [{"jid":"job-number-1","jobtype":"work","args":[]}]')
    line.close()
    time.sleep(0.2)
    assert server.producer().queues() == {}
