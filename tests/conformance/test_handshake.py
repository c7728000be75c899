"""HI and HELLO: who is let in, and who is hung up on without a word (server/server.go:231-329)."""

import contextlib
import json
import re
import time

import pytest

from .conftest import KINDS
from .wire import new_wid, password_hash

PASSWORD = "s3cret/é"

# What is no HELLO; each is hung up on.
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


@pytest.fixture(scope="session")
def fake_with_password(new_server):
    return new_server("fake", password=PASSWORD)


@pytest.fixture(scope="session")
def real_with_password(new_server):
    return new_server("real", password=PASSWORD)


@pytest.fixture(params=KINDS)
def guarded(request):
    """A server with a password."""
    server = request.getfixturevalue(f"{request.param}_with_password")
    yield server
    server.end_lines()


def test_hi(server):
    """The server begins, with the version of its protocol."""
    assert server.dial().greeting == '+HI {"v":2}'


@pytest.mark.parametrize("hello", REFUSED)
def test_refused(server, hello):
    """What is no HELLO, or no JSON object of the right types, is hung up on."""
    assert server.dial().ask(hello) is None


@pytest.mark.parametrize("hello", ACCEPTED)
def test_accepted(server, hello):
    """Nothing has to be in a HELLO, and anything else may be."""
    line = server.dial()
    assert line.ask(hello) == "+OK"
    assert line.ask("PUSHB []") == "{}"


def test_commands_behind_hello(server):
    """Commands need not wait for the reply to HELLO."""
    line = server.dial()
    line.send('HELLO {"v":2}\nPUSHB []\nQUEUE LATENCY\nEND\n')
    assert [line.reply() for _ in range(4)] == ["+OK", "{}", "{}", None]


def test_commands_behind_a_refused_hello(server):
    """What comes behind a refused HELLO is not looked at."""
    line = server.dial()
    line.send('HELLO {"v":"2"}\nPUSHB []\n')
    assert line.reply() is None


def test_hello_once(line):
    """A second HELLO is no command."""
    assert line.hello() == "-ERR unknown command HELLO"


def test_silence_before_hello(server):
    """Who has not said HELLO within two seconds is hung up on."""
    start = time.monotonic()
    line = server.dial()
    assert line.reply() is None
    assert 1.9 < time.monotonic() - start < 3


def test_slow_hello(server):
    """The two seconds are for all of HELLO, however it comes."""
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
    """After HELLO there is no such limit."""
    line = server.producer()
    time.sleep(2.3)
    assert line.ask("PUSHB []") == "{}"


def test_unfinished_line(server):
    """A line that has no end when the client hangs up is not looked at."""
    line = server.producer()
    line.send('PUSHB [{"jid":"job-number-1","jobtype":"work","args":[]}]')
    line.close()
    time.sleep(0.2)
    assert server.producer().queues() == {}


# ---- with a password ------------------------------------------------------------------------


def test_hi_with_a_password(guarded):
    """HI says how often to hash the password, and with what salt, different each time."""
    first, second = guarded.dial().greeting, guarded.dial().greeting
    pattern = r'\+HI \{"v":2,"i":(\d{4}),"s":"([0-9a-f]{8,16})"\}'
    times, salt = re.fullmatch(pattern, first).groups()
    assert 4_000 <= int(times) < 8_096
    assert re.fullmatch(pattern, second)[2] != salt


@pytest.mark.parametrize("version", [2, 3, 255])
def test_right_password(guarded, version):
    """The password's hash opens."""
    line = guarded.dial()
    hello = {"v": version, "pwdhash": password_hash(PASSWORD, line.greeting)}
    assert line.hello(**hello) == "+OK"


@pytest.mark.parametrize("version", [{"v": 1}, {"v": 0}, {"v": None}])
def test_right_password_of_the_first_protocol(guarded, version):
    """Before version 2 of the protocol the password is hashed once."""
    line = guarded.dial()
    digest = password_hash(PASSWORD, line.greeting, times=1)
    assert line.hello(pwdhash=digest, **version) == "+OK"


@pytest.mark.parametrize(
    "hello",
    [
        {},
        {"pwdhash": ""},
        {"pwdhash": PASSWORD},
        {"pwdhash": "0" * 64},
        {"pwdhash": None, "wid": "worker-x"},
    ],
)
def test_wrong_password(guarded, hello):
    """Whoever does not know the password is told so, and hung up on."""
    line = guarded.dial()
    assert [line.hello(**hello), line.reply()] == ["-ERR Invalid password", None]


@pytest.mark.parametrize(
    "change",
    [
        lambda hi: {"pwdhash": password_hash("another", hi)},
        lambda hi: {"pwdhash": password_hash(PASSWORD, hi).upper()},
        lambda hi: {"pwdhash": password_hash(PASSWORD, hi, times=1)},
        lambda hi: {"pwdhash": password_hash(PASSWORD, hi), "v": 1},
        lambda hi: {"pwdhash": password_hash(PASSWORD, hi) + " "},
    ],
    ids=["another", "upper case", "hashed once", "first protocol", "longer"],
)
def test_almost_right_password(guarded, change):
    """Another password, or another way of hashing it, does not open."""
    line = guarded.dial()
    assert line.hello(**change(line.greeting)) == "-ERR Invalid password"


def test_hash_of_another_salt(guarded):
    """A hash opens but the connection whose salt it has."""
    other = guarded.dial()
    hello = {"pwdhash": password_hash(PASSWORD, other.greeting)}
    assert guarded.dial().hello(**hello) == "-ERR Invalid password"


def test_bad_hello_with_a_password(guarded):
    """A HELLO that is none is hung up on before the password is looked at."""
    assert guarded.dial().ask('HELLO {"v":"2"}') is None


def test_worker_with_a_wrong_password(guarded):
    """A worker that is not let in is not known."""
    wid = new_wid()
    assert guarded.dial().hello(wid=wid, pwdhash="x") == "-ERR Invalid password"
    line = guarded.dial()
    line.hello(pwdhash=password_hash(PASSWORD, line.greeting))
    assert line.beat(wid) == f"-ERR unknown worker {wid}"


def test_password_does_not_leak(guarded):
    """INFO says nothing of the password."""
    line = guarded.dial()
    line.hello(pwdhash=password_hash(PASSWORD, line.greeting))
    assert "s3cret" not in json.dumps(line.info())
