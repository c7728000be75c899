"""What a Redis is sent for a change: one command, the plainest that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.transition import TOMBSTONE_SECONDS, held

from .redis_scripts import CHANGE, CHANGE_WITH_TOMBSTONES

if TYPE_CHECKING:
    from faktory_unique.locks.transition import Transition

Command: TypeAlias = tuple[str | bytes | int, ...]

SCRIPTS = (CHANGE, CHANGE_WITH_TOMBSTONES)


def command_of(transition: Transition, *, nx_get: bool) -> Command:
    """What a Redis is sent for a change.

    Args:
        transition: what to make.
        nx_get: whether the server knows `SET … NX GET`: Redis 7.0 or newer, Valkey.
    """
    key, expected, value, ttl, extends, unless_replaced, *_ = transition
    if unless_replaced is None:
        if not expected:
            return ("GET", key)
        if expected == (None,) and value is not None and nx_get:
            return ("SET", key, value, "NX", "GET", "EX", ttl)
    told = (value or "", ttl, int(extends))
    values = [e or "" for e in expected]
    if unless_replaced is None:
        return ("EVALSHA", CHANGE.sha, 1, key, *told, *values)
    keys, successor = _tombstones(transition, unless_replaced)
    script = CHANGE_WITH_TOMBSTONES.sha
    return ("EVALSHA", script, len(keys), *keys, *told, *successor, *values)


def _tombstones(transition: Transition, unless_replaced: str) -> tuple[list[str], Command]:
    """The keys of a change with tombstones, and what the script must know of who is replaced."""
    keys = [transition.key, tombstone_key(transition.key, unless_replaced)]
    if transition.replaces is None:
        return keys, ("", "", 0, 0)
    keys.append(tombstone_key(transition.key, transition.replaces))
    life = max(transition.ttl, TOMBSTONE_SECONDS)
    return keys, (transition.owner, held(transition.replaces), life, int(transition.once))
