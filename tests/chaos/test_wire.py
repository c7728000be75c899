"""Names of the commands on the wire, as the library sends them."""

from __future__ import annotations

import json

import pytest

from faktory_unique.client.protocol import pushb_command
from faktory_unique.locks import lifecycle
from faktory_unique.locks.keys import run_key
from faktory_unique.locks.stamp import Stamp
from faktory_unique.stores.redis_commands import command_for
from tests.chaos.wire import PARENT_FIELD, Command, faktory_commands, redis_commands

KEY = "u:Chaos:k"
JOB = {"jid": "j", "jobtype": "Chaos", "args": [], "retry": 25}
STAMP = Stamp(key=KEY, owner="j", until="success", ttl=20)
SWAP = lifecycle.swap_transition(KEY, "j", "other", 20)
HOLD = lifecycle.hold_transition(STAMP, JOB)

WRITES = {
    "acquire": lifecycle.acquire_transition(KEY, "j", 8),
    "acquire replaceable": lifecycle.acquire_transition(KEY, "j", 8, replaceable=True),
    "renew": lifecycle.renew_transition(KEY, "j", 8),
    "confirm": lifecycle.confirm_transition(KEY, "j", 20),
    "rollback": lifecycle.rollback_transition(KEY, "j"),
    "hold": HOLD.without_acquire(),
    "hold replaceable": HOLD.without_acquire()._replace(unless_replaced="j"),
    "release": lifecycle.release_transition(KEY, "j"),
    "swap": SWAP,
}
RUN_WRITES = {
    "acquire_run": lifecycle.acquire_run_transition(KEY, "j:1"),
    "hold_run": lifecycle.hold_run_transition(KEY, "j:1", JOB),
    "release_run": lifecycle.release_run_transition(KEY, "j:1"),
}


def on_the_wire(*transitions):
    """Return the bytes of these transitions."""
    words = [command_for(transition, nx_get=True) for transition in transitions]
    return b"".join(map(resp, words))


def resp(words):
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(e), e) for e in encoded)


@pytest.mark.parametrize("name", WRITES)
def test_lock_write_has_the_name_of_its_transition(name):
    assert redis_commands(on_the_wire(WRITES[name])) == [Command(name.split()[0], KEY)]


@pytest.mark.parametrize("name", RUN_WRITES)
def test_run_lock_write_has_a_name_of_its_own(name):
    assert redis_commands(on_the_wire(RUN_WRITES[name])) == [Command(name, run_key(KEY))]


def test_batch_of_lock_writes_has_all_names():
    sent = on_the_wire(WRITES["confirm"], WRITES["release"])
    assert [command.name for command in redis_commands(sent)] == ["confirm", "release"]


@pytest.mark.parametrize("chunk", [resp(["PING"]), on_the_wire(SWAP)[:-10], b"tail of a command"])
def test_other_bytes_to_redis_have_no_name(chunk):
    assert redis_commands(chunk) == []


@pytest.mark.parametrize("verb", ["ACK", "FAIL"])
def test_report_has_the_jid_of_its_job(verb):
    assert faktory_commands(f"{verb} {json.dumps({'jid': 'j'})}\r\n".encode()) == [
        Command(verb, "j")
    ]


def test_push_of_a_copy_is_a_requeue():
    copy = {**JOB, "custom": {PARENT_FIELD: "i"}}
    pushed = [faktory_commands(pushb_command([job]).encode()) for job in (JOB, copy)]
    assert pushed == [
        [Command("PUSHB", "j")],
        [Command("PUSHB", "j"), Command("requeue", "j")],
    ]


def test_login_has_no_name():
    assert faktory_commands(b'HELLO {"v":2}\r\n') == []
