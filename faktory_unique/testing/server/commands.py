"""The verbs of the protocol (server/commands.go, server/mutate.go): a line in, a reply out."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from faktory_unique.testing.go.encode import encode
from faktory_unique.testing.go.errors import GoError, GoTypeError
from faktory_unique.testing.go.json import decode
from faktory_unique.testing.go.shapes import zero
from faktory_unique.testing.go.time import format_time, parse_time

from .info import info
from .manager import SECOND, CommandError
from .mutate import mutate
from .payloads import ACKNOWLEDGED, BEAT, FAILED, JOB, JOBS, LATENCIES, REFUSED, decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.testing.go.shapes import Shape

    from .core import Core
    from .session import Session

OK = b"+OK\r\n"
NIL = b"$-1\r\n"

# How long FETCH waits for a job (manager/fetch.go:187), and a quiet worker's for nothing.
FETCH_WAIT = 2.0

# How often a waiting FETCH looks whether time has brought a job: nothing ticks here.
_LOOK = 0.05


class GoPanic(Exception):  # Go's word
    """The server's code stumbles over this command, which it answers with an internal error."""


def error(text: str) -> bytes:
    """An error reply."""
    return f"-ERR {text}\r\n".encode(errors="surrogateescape")


def bulk(text: str) -> bytes:
    """A bulk reply."""
    data = text.encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


def _after(line: bytes, start: int) -> bytes:
    """What stands behind a verb and its space; the server slices without a look at the length."""
    if len(line) < start:
        raise GoPanic
    return line[start:]


def _words(line: bytes) -> list[str]:
    return line.decode(errors="surrogateescape").split(" ")[1:]


def _upper(text: str) -> str:
    """strings.ToUpper: a character at a time, and U+FFFD for a byte that is no UTF-8."""
    uppers = (char.upper() if len(char.upper()) == 1 else char for char in text)
    return "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in uppers)


def _decode_or_say(data: bytes, shape: Shape, verb: str) -> Any:  # noqa: ANN401  # as the shape says
    try:
        return decode(data, shape)
    except GoError as exc:
        raise _invalid(verb, data) from exc


def _invalid(verb: str, data: bytes) -> CommandError:
    return CommandError(f"invalid {verb} {data.decode(errors='surrogateescape')}")


def _push(session: Session, line: bytes) -> bytes:
    data = _after(line, 5)
    manager = session.core.manager
    with session.core.lock:
        try:
            job = decode(data, JOB, zero(JOB) | {"retry": manager.default_retry})
        except GoTypeError as exc:
            manager.default_retry = _unless_none(exc.decoded["retry"], manager.default_retry)
            raise CommandError(f"invalid JSON: {exc}") from exc
        except GoError as exc:
            raise CommandError(f"invalid JSON: {exc}") from exc
        # It was decoded in place, and the next job that says nothing of retry gets it, too.
        job["retry"] = manager.default_retry = _unless_none(job["retry"], manager.default_retry)
        _push_job(session, job)
    return OK


def _unless_none(value: int | None, default: int) -> int:
    return default if value is None else value


def _push_job(session: Session, job: dict[str, Any]) -> None:
    session.core.manager.push(job)
    session.pushed.append(job["jid"])
    session.core.enqueued.notify_all()


def _push_bulk(session: Session, line: bytes) -> bytes:
    try:
        jobs = decode(_after(line, 6), JOBS) or []
    except GoError as exc:
        raise CommandError(f"invalid JSON: {exc}") from exc
    refused: dict[str, str] = {}
    created = format_time(session.core.now())  # one for all (server/commands.go:179)
    for job in jobs:
        job["created_at"] = job["created_at"] or created
        with session.core.lock:  # a job at a time, as on the server
            job["retry"] = _unless_none(job["retry"], session.core.manager.default_retry)
            try:
                _push_job(session, job)
            except CommandError as exc:
                refused[job["jid"]] = str(exc)
    return bulk(encode(refused, REFUSED))


def _fetch(session: Session, line: bytes) -> bytes:
    core = session.core
    with core.lock:
        quiet = core.workers.is_quiet(session.wid, session)
    if quiet:
        time.sleep(FETCH_WAIT)
        return NIL
    names = _words(line)
    if not names:
        raise CommandError("must call fetch with at least one queue")
    with core.lock:
        # Once: a queue that is paused while this waits still gives its job (manager/fetch.go:98).
        active = core.manager.queues.active(names)
        payload = core.manager.queues.pop(active)
        if payload is None:
            payload = _wait(core, active)
        if payload is None:
            return NIL
        return bulk(core.manager.reserve(session.wid, payload))


def _wait(core: Core, names: list[str]) -> str | None:
    """The first payload that comes to one of the queues while FETCH waits."""
    deadline = time.monotonic() + FETCH_WAIT
    waiter = core.manager.queues.wait(names)
    while waiter.payload is None and not core.closed:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        core.enqueued.wait(min(left, _LOOK))
        core.catch_up()
    core.manager.queues.leave(waiter)
    return waiter.payload


def _acknowledge(session: Session, line: bytes) -> bytes:
    data = _after(line, 4)
    told = _decode_or_say(data, ACKNOWLEDGED, "ACK")
    if told is None or "jid" not in told:
        raise _invalid("ACK", data)
    with session.core.lock:
        session.core.manager.acknowledge(told["jid"])
    return OK


def _fail(session: Session, line: bytes) -> bytes:
    failure = _decode_or_say(_after(line, 5), FAILED, "FAIL")
    with session.core.lock:
        session.core.manager.fail(failure)
    return OK


def _beat(session: Session, line: bytes) -> bytes:
    beat = _decode_or_say(_after(line, 5), BEAT, "BEAT")
    core = session.core
    with core.lock:
        worker = core.workers.beat(beat["wid"], beat["current_state"], core.clock())
    if worker is None:
        raise CommandError(f"unknown worker {beat['wid']}")
    return bulk(f'{{"state":"{worker.state}"}}') if worker.state else OK


def _info(session: Session, _line: bytes) -> bytes:
    with session.core.lock:
        return bulk(json.dumps(info(session.core), separators=(",", ":")))


def _mutate(session: Session, line: bytes) -> bytes:
    words = line.split(b" ")
    if len(words) != 2:  # noqa: PLR2004  # so that a space in the JSON is an error, too
        raise CommandError("invalid format")
    with session.core.lock:
        mutate(session.core.manager, words[1])
        session.core.enqueued.notify_all()
    return OK


def _queue(session: Session, line: bytes) -> bytes:
    words = _words(line)
    if not words:
        raise GoPanic
    verb, names = _upper(words[0]), words[1:]
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


def _flush(session: Session, _line: bytes) -> bytes:
    with session.core.lock:
        session.core.manager.flush()
    return OK


def _end(session: Session, _line: bytes) -> bytes:
    session.close()
    return b""


def _enterprise(subsystem: str) -> Callable[[Session, bytes], bytes]:
    def refuse(_session: Session, _line: bytes) -> bytes:
        raise CommandError(f"{subsystem} subsystem is only available in Faktory Enterprise")

    return refuse


Command: TypeAlias = "Callable[[Session, bytes], bytes]"

COMMANDS: dict[bytes, Command] = {
    b"END": _end,
    b"PUSH": _push,
    b"PUSHB": _push_bulk,
    b"FETCH": _fetch,
    b"ACK": _acknowledge,
    b"FAIL": _fail,
    b"BEAT": _beat,
    b"INFO": _info,
    b"FLUSH": _flush,
    b"MUTATE": _mutate,
    b"BATCH": _enterprise("batch"),
    b"TRACK": _enterprise("tracking"),
    b"QUEUE": _queue,
}
