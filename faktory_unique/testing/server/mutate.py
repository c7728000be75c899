"""MUTATE: clears, kills, discards and requeues jobs of a timed set (server/mutate.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faktory_unique.testing.go.json import decode
from faktory_unique.testing.go.quote import quote

from .errors import CommandError
from .manager import DEAD_TTL
from .redis_glob import glob
from .schemas import JOB, OPERATION, decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from .manager import Manager
    from .sorted_set import SortedSet


def mutate(manager: Manager, data: bytes) -> None:
    """Carries out one operation.

    Raises:
        GoError: it is no JSON, or of wrong types.
        CommandError: operation or target are unknown.
    """
    operation = decode(data, OPERATION)
    targets = {
        "retries": manager.retries,
        "dead": manager.dead,
        "scheduled": manager.scheduled,
    }
    command, chosen = operation["cmd"], operation["filter"]
    if command not in {"clear", "kill", "discard", "requeue"}:
        raise CommandError("unknown mutate operation")
    target = targets.get(operation["target"])
    if target is None:
        raise CommandError("invalid target for mutation command")
    if command == "clear" or (command == "discard" and chosen is None):
        target.clear()
        return
    fits = _fits(chosen)
    for payload in [payload for payload in target if fits(payload)]:
        _CARRY_OUT[command](manager, target, payload)


def _kill(manager: Manager, target: SortedSet, payload: str) -> None:
    target.remove(payload)
    manager.dead.add(manager.now() + DEAD_TTL, payload)


def _requeue(manager: Manager, target: SortedSet, payload: str) -> None:
    """Pushes the payload as it is, failure and all, before it leaves the set (mutate.go:38-60)."""
    manager.queues.add(decoded(payload, JOB)["queue"], payload)
    target.remove(payload)


def _discard(_manager: Manager, target: SortedSet, payload: str) -> None:
    target.remove(payload)


_CARRY_OUT = {"kill": _kill, "requeue": _requeue, "discard": _discard}


def _fits(chosen: dict[str, Any] | None) -> Callable[[str], bool]:
    """Which payloads a filter means (server/mutate.go:79-116): it is matched against their text."""
    if chosen is None:
        return lambda _: True
    if chosen["jids"]:
        marks = [f'"jid":{quote(jid)}' for jid in chosen["jids"]]
        return lambda payload: any(payload.find(mark) > 0 for mark in marks)
    mark = f'"jobtype":{quote(chosen["jobtype"])}' if chosen["jobtype"] else ""
    if not chosen["regexp"]:
        return _matcher(f"*{mark}*" if mark else "*")
    matches = _matcher(chosen["regexp"])
    return lambda payload: matches(payload) and payload.find(mark) >= (1 if mark else 0)


def _matcher(pattern: str) -> Callable[[str], bool]:
    matches = glob(pattern.encode())
    return lambda payload: matches(payload.encode())
