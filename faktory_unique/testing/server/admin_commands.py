"""The commands of operators: INFO, MUTATE, QUEUE, FLUSH. TRACK and BATCH are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .errors import CommandError, InternalError, ParseError
from .go_json import decode, encode
from .go_time import SECOND, parse_time
from .info import info
from .mutate import mutate
from .replies import OK, bulk, words
from .schemas import JOB

if TYPE_CHECKING:
    from .session import Session


def send_info(session: Session, _line: bytes) -> bytes:
    """INFO: reply with the counts and sizes of the server."""
    with session.core.mutex:
        return bulk(json.dumps(info(session.core), separators=(",", ":")))


def mutate_set(session: Session, line: bytes) -> bytes:
    """MUTATE: clear, kill, discard or requeue jobs of a timed set."""
    try:
        _, mutation = line.split(b" ")  # as on the server, so a space in the JSON is an error
    except ValueError:
        raise CommandError("invalid format") from None
    with session.core.mutex:
        mutate(session.core.manager, mutation)
        session.core.enqueued.notify_all()
    return OK


def change_queues(session: Session, line: bytes) -> bytes:
    """QUEUE: pause, resume or remove queues, or report their latency."""
    arguments = words(line)
    if not arguments:
        raise InternalError
    verb, names = _upper(arguments[0]), arguments[1:]
    queues = session.core.manager.queues
    operations = {"PAUSE": queues.pause, "RESUME": queues.resume, "REMOVE": queues.remove}
    with session.core.mutex:
        if verb == "LATENCY":
            return _latencies(session, names)
        if verb not in operations:
            raise CommandError(f"no such QUEUE subcommand: {verb}")
        if not names:
            raise InternalError
        for name in [name for name, _ in queues] if names[0] == "*" else names:
            operations[verb](name)
        session.core.enqueued.notify_all()
    return OK


def _latencies(session: Session, names: list[str]) -> bytes:
    """Return a bulk with the seconds for which the oldest job of each queue has waited."""
    if names == ["*"]:
        raise CommandError("QUEUE LATENCY does not support wildcards")
    core = session.core
    seconds = {}
    for name in names:
        payloads = core.manager.queues.payloads(name)
        seconds[name] = _age(payloads[-1], core.now()) / SECOND if payloads else 0.0
    return bulk(encode(seconds))


def _age(payload: str, now: int) -> int:
    """Return the nanoseconds since a job was enqueued, within the bounds of Go's time.Duration."""
    try:
        enqueued_at = parse_time(decode(payload.encode(), JOB)["enqueued_at"])
    except ParseError as exc:  # empty: MUTATE requeued a job that had been scheduled
        raise CommandError(f"QUEUE: {exc}") from exc
    return min(max(now - enqueued_at, -(2**63)), 2**63 - 1)


def flush(session: Session, _line: bytes) -> bytes:
    """FLUSH: delete all jobs."""
    with session.core.mutex:
        session.core.manager.flush()
    return OK


def refuse_tracking(_session: Session, _line: bytes) -> bytes:
    """TRACK: refuse it, since only Faktory Enterprise has it."""
    raise CommandError("tracking subsystem is only available in Faktory Enterprise")


def refuse_batch(_session: Session, _line: bytes) -> bytes:
    """BATCH: refuse it, since only Faktory Enterprise has it."""
    raise CommandError("batch subsystem is only available in Faktory Enterprise")


def _upper(text: str) -> str:
    """Return the text in upper case, as Go's strings.ToUpper does it.

    A character stays one character. A byte that is not UTF-8 becomes U+FFFD.
    """
    uppers = (char.upper() if len(char.upper()) == 1 else char for char in text)
    return "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in uppers)
