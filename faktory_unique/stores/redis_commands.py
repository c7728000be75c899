"""The Redis command for each lock transition: GETEX, SET … NX GET EX, or EVALSHA of a script.

Each is a write for Redis, also if it only reads: so a replica refuses it instead of answering from
data that may be old.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.transition import TOMBSTONE_SECONDS, held

from .redis_scripts import COMPARE_AND_SET, COMPARE_AND_SET_UNLESS_REPLACED

if TYPE_CHECKING:
    from faktory_unique.locks.transition import Transition

Command: TypeAlias = tuple[str | bytes | int, ...]


def command_for(transition: Transition, *, nx_get: bool) -> Command:
    """Return the simplest command that carries out a transition.

    Args:
        transition: the transition.
        nx_get: whether the server supports `SET … NX GET`: Redis 7.0 or newer, Valkey.
    """
    key, expected, value, ttl, extends, unless_replaced, *_ = transition
    if unless_replaced is None:
        if not expected:
            return ("GETEX", key)
        if expected == (None,) and value is not None and nx_get:
            return ("SET", key, value, "NX", "GET", "EX", ttl)
    write = (value or "", ttl, int(extends))
    expected_values = [e or "" for e in expected]
    if unless_replaced is None:
        return ("EVALSHA", COMPARE_AND_SET.sha, 1, key, *write, *expected_values)
    keys, tombstone_args = _tombstone_arguments(transition, unless_replaced)
    sha = COMPARE_AND_SET_UNLESS_REPLACED.sha
    return ("EVALSHA", sha, len(keys), *keys, *write, *tombstone_args, *expected_values)


def _tombstone_arguments(transition: Transition, unless_replaced: str) -> tuple[list[str], Command]:
    """Return KEYS and ARGV[4] to ARGV[7] of the script that reads and writes tombstones."""
    keys = [transition.key, tombstone_key(transition.key, unless_replaced)]
    if transition.replaces is None:
        return keys, ("", "", 0, 0)
    keys.append(tombstone_key(transition.key, transition.replaces))
    tombstone_ttl = max(transition.ttl, TOMBSTONE_SECONDS)
    replaced_value = held(transition.replaces)
    return keys, (transition.owner, replaced_value, tombstone_ttl, int(transition.once))
