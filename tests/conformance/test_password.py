"""HELLO to a server with a password (server/server.go:276-286)."""

import json
import re

import pytest

from .conftest import KINDS
from .wire import new_wid, password_hash

PASSWORD = "s3cret/é"


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


def test_hi_with_a_password(guarded):
    """HI has the number of hash rounds and the salt, which differs each time."""
    first, second = guarded.dial().greeting, guarded.dial().greeting
    pattern = r'\+HI \{"v":2,"i":(\d{4}),"s":"([0-9a-f]{8,16})"\}'
    times, salt = re.fullmatch(pattern, first).groups()
    assert 4_000 <= int(times) < 8_096
    assert re.fullmatch(pattern, second)[2] != salt


@pytest.mark.parametrize("version", [2, 3, 255])
def test_right_password(guarded, version):
    """The right hash is accepted."""
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
    """A wrong hash gets an error, and the connection is closed."""
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
    """Another password, or another way of hashing it, is refused."""
    line = guarded.dial()
    assert line.hello(**change(line.greeting)) == "-ERR Invalid password"


def test_hash_of_another_salt(guarded):
    """A hash is accepted only on the connection with its salt."""
    other = guarded.dial()
    hello = {"pwdhash": password_hash(PASSWORD, other.greeting)}
    assert guarded.dial().hello(**hello) == "-ERR Invalid password"


def test_bad_hello_with_a_password(guarded):
    """A bad HELLO is refused before the password is checked."""
    assert guarded.dial().ask('HELLO {"v":"2"}') is None


def test_worker_with_a_wrong_password(guarded):
    """A worker with a wrong password is unknown."""
    wid = new_wid()
    assert guarded.dial().hello(wid=wid, pwdhash="x") == "-ERR Invalid password"
    line = guarded.dial()
    line.hello(pwdhash=password_hash(PASSWORD, line.greeting))
    assert line.beat(wid) == f"-ERR unknown worker {wid}"


def test_password_does_not_leak(guarded):
    """INFO does not contain the password."""
    line = guarded.dial()
    line.hello(pwdhash=password_hash(PASSWORD, line.greeting))
    assert "s3cret" not in json.dumps(line.info())
