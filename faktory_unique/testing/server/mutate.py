"""MUTATE: clear, kill, discard and requeue jobs of a timed set, by filter (server/mutate.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import CommandError
from .glob import matching
from .go_json import decode, quote
from .manager import DEAD_TTL
from .schemas import JOB, MUTATION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .manager import Manager
    from .sorted_set import SortedSet


def mutate(manager: Manager, data: bytes) -> None:
    """Run the mutation that a JSON text describes.

    Raises:
        CommandError: the text is not a mutation in JSON, or its command or target is unknown.
    """
    mutation = decode(data, MUTATION)
    targets = {
        "retries": manager.retries,
        "dead": manager.dead,
        "scheduled": manager.scheduled,
    }
    command, job_filter = mutation["cmd"], mutation["filter"]
    if command not in {"clear", "kill", "discard", "requeue"}:
        raise CommandError("unknown mutate operation")
    target = targets.get(mutation["target"])
    if target is None:
        raise CommandError("invalid target for mutation command")
    if command == "clear" or (command == "discard" and job_filter is None):
        target.clear()
        return
    for payload in _filtered(target, job_filter):
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


def _filtered(payloads: Iterable[str], job_filter: dict[str, Any] | None) -> list[str]:
    """Return the payloads whose text matches a filter (server/mutate.go:79-116)."""
    if job_filter is None:
        return list(payloads)
    if job_filter["jids"]:
        marks = [f'"jid":{quote(jid)}' for jid in job_filter["jids"]]
        return [payload for payload in payloads if any(payload.find(mark) > 0 for mark in marks)]
    mark = f'"jobtype":{quote(job_filter["jobtype"])}' if job_filter["jobtype"] else ""
    if not job_filter["regexp"]:
        return matching(payloads, f"*{mark}*" if mark else "*")
    return [payload for payload in matching(payloads, job_filter["regexp"]) if mark in payload[1:]]
