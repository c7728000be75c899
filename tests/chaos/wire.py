"""Commands on the wire: the names by which faults are aimed at them, and the lock or job of each.

A command to Faktory has the name of its verb. A command to Redis has the name of the lock's
transition (docs/design.md §2), since nearly all of them are the same Lua script. Both read whole
commands only: a command that a chunk cuts short has no name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import hiredis

PARENT_FIELD = "chaos_parent"
"""The field of a requeued copy's `custom` with the jid of its parent."""

_JID = re.compile(rb'"jid": ?"([^"]*)"')


class Command(NamedTuple):
    """A command that a client sent.

    Attributes:
        name: what it does.
        subject: the jid of a Faktory command, the key of a Redis command; empty if it has none.
    """

    name: str
    subject: str = ""


def faktory_commands(chunk):
    """Return the commands in bytes sent to Faktory; a requeue's PUSHB is named twice."""
    verb = b"".join(chunk.split(maxsplit=1)[:1]).decode("latin-1")
    if not verb or verb == "HELLO":  # a login changes nothing
        return []
    jid = _JID.search(chunk)
    subject = jid[1].decode("latin-1") if jid else ""
    is_copy = verb == "PUSHB" and PARENT_FIELD.encode() in chunk
    return [Command(verb, subject), *([Command("requeue", subject)] if is_copy else [])]


def redis_commands(chunk):
    """Return the lock writes in bytes sent to Redis."""
    reader = hiredis.Reader()
    reader.feed(chunk)
    commands = []
    try:
        while (words := reader.gets()) is not False:
            commands += _redis_command([_text(word) for word in words])
    except hiredis.ProtocolError:  # the middle of a long command
        pass
    return commands


def _text(word):
    return word.decode("latin-1") if isinstance(word, bytes) else str(word)


def _redis_command(words):
    match words:
        case ["SET", key, value, "NX", *_]:
            name = "acquire" if value.endswith("?") else "acquire_run"
        case ["SET", key, *_]:
            name = "confirm"
        case ["GETDEL", key]:
            name = "release"
        case ["EVALSHA" | "EVAL", _, number, key, *more]:
            written, _ttl, _extends, *expected = more[int(number) - 1 :]
            name = _script_name(key, int(number), written, expected)
        case _:
            return []
    return [Command(name, key)]


def _script_name(key, number_of_keys, written, expected):
    if key.endswith("}:run"):
        return "hold_run" if written else "release_run"
    if number_of_keys == 3:
        return "swap"
    if number_of_keys == 2:  # a replaceable job's; its first four arguments are about tombstones
        expected = expected[4:]
    if written.endswith("?"):
        return "acquire" if expected == [""] else "renew"
    if not written:
        return "release" if len(expected) > 1 else "rollback"
    return "hold" if len(expected) > 1 else "confirm"
