"""MUTATE: clear, kill, discard and requeue jobs of a timed set, by filter (server/mutate.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import CommandError
from .glob import glob
from .go_json import decode, quote
from .manager import DEAD_TTL
from .schemas import JOB, MUTATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from .manager import Manager
    from .sorted_set import SortedSet


def mutate(manager: Manager, data: bytes) -> None:
    """Run the mutation that a JSON text describes.

    Raises:
        CommandError: the text is not such JSON, or its command or target is unknown.
    """
    mutation = decode(data, MUTATION)
    targets = {
        "retries": manager.retries,
        "dead": manager.dead,
        "scheduled": manager.scheduled,
    }
    command, chosen = mutation["cmd"], mutation["filter"]
    if command not in {"clear", "kill", "discard", "requeue"}:
        raise CommandError("unknown mutate operation")
    target = targets.get(mutation["target"])
    if target is None:
        raise CommandError("invalid target for mutation command")
    if command == "clear" or (command == "discard" and chosen is None):
        target.clear()
        return
    matches = _filter(chosen)
    for payload in [payload for payload in target if matches(payload)]:
        _OPERATIONS[command](manager, target, payload)


def _kill(manager: Manager, target: SortedSet, payload: str) -> None:
    target.remove(payload)
    manager.dead.add(manager.now() + DEAD_TTL, payload)


def _requeue(manager: Manager, target: SortedSet, payload: str) -> None:
    """Enqueue the unchanged payload, with its failure; then remove it (mutate.go:38-60)."""
    manager.queues.add(decode(payload.encode(), JOB)["queue"], payload)
    target.remove(payload)


def _discard(_manager: Manager, target: SortedSet, payload: str) -> None:
    target.remove(payload)


_OPERATIONS = {"kill": _kill, "requeue": _requeue, "discard": _discard}


def _filter(chosen: dict[str, Any] | None) -> Callable[[str], bool]:
    """Return whether a payload's text matches a filter (server/mutate.go:79-116)."""
    if chosen is None:
        return lambda _: True
    if chosen["jids"]:
        marks = [f'"jid":{quote(jid)}' for jid in chosen["jids"]]
        return lambda payload: any(payload.find(mark) > 0 for mark in marks)
    mark = f'"jobtype":{quote(chosen["jobtype"])}' if chosen["jobtype"] else ""
    if not chosen["regexp"]:
        return glob(f"*{mark}*" if mark else "*")
    matches = glob(chosen["regexp"])
    return lambda payload: matches(payload) and payload.find(mark) >= (1 if mark else 0)
