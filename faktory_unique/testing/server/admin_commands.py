"""The verbs with which operators look and intervene: INFO, MUTATE, QUEUE, FLUSH."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from faktory_unique.testing.go.encode import encode
from faktory_unique.testing.go.errors import GoError
from faktory_unique.testing.go.time import parse_time

from .errors import CommandError, GoPanic
from .info import info
from .manager import SECOND
from .mutate import mutate
from .replies import OK, bulk, words
from .schemas import JOB, LATENCIES, decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from .session import Session


def tell_info(session: Session, _line: bytes) -> bytes:
    """INFO."""
    with session.core.lock:
        return bulk(json.dumps(info(session.core), separators=(",", ":")))


def mutate_set(session: Session, line: bytes) -> bytes:
    """MUTATE."""
    try:
        _, operation = line.split(b" ")  # so that a space in the JSON is an error, too
    except ValueError:
        raise CommandError("invalid format") from None
    with session.core.lock:
        mutate(session.core.manager, operation)
        session.core.enqueued.notify_all()
    return OK


def change_queues(session: Session, line: bytes) -> bytes:
    """QUEUE."""
    told = words(line)
    if not told:
        raise GoPanic
    verb, names = _upper(told[0]), told[1:]
    queues = session.core.manager.queues
    operations = {"PAUSE": queues.pause, "RESUME": queues.resume, "REMOVE": queues.remove}
    with session.core.lock:
        if verb == "LATENCY":
            return _latency(session, names)
        if verb not in operations:
            raise CommandError(f"no such QUEUE subcommand: {verb}")
        if not names:
            raise GoPanic
        for name in [name for name, _ in queues] if names[0] == "*" else names:
            operations[verb](name)
        session.core.enqueued.notify_all()
    return OK


def _latency(session: Session, names: list[str]) -> bytes:
    """Seconds that the oldest job of each queue has waited."""
    if names == ["*"]:
        raise CommandError("QUEUE LATENCY does not support wildcards")
    core = session.core
    told = {}
    for name in names:
        waiting = core.manager.queues.payloads(name)
        told[name] = _waited(waiting[-1], core.now()) / SECOND if waiting else 0.0
    return bulk(encode(told, LATENCIES))


def _waited(payload: str, now: int) -> int:
    """Nanoseconds since a job was enqueued, as far as a time.Duration goes."""
    try:
        since = parse_time(decoded(payload, JOB)["enqueued_at"])
    except GoError as exc:  # none: MUTATE requeued a job that had been scheduled
        raise CommandError(f"QUEUE: {exc}") from exc
    return min(max(now - since, -(2**63)), 2**63 - 1)


def flush(session: Session, _line: bytes) -> bytes:
    """FLUSH."""
    with session.core.lock:
        session.core.manager.flush()
    return OK


def _upper(text: str) -> str:
    """strings.ToUpper: a character at a time, and U+FFFD for a byte that is no UTF-8."""
    uppers = (char.upper() if len(char.upper()) == 1 else char for char in text)
    return "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in uppers)


def enterprise(subsystem: str) -> Callable[[Session, bytes], bytes]:
    """TRACK and BATCH, which the open-source server refuses."""

    def refuse(_session: Session, _line: bytes) -> bytes:
        raise CommandError(f"{subsystem} subsystem is only available in Faktory Enterprise")

    return refuse
