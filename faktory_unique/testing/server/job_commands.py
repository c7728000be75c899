"""The verbs of producers and workers (server/commands.go): a line in, a reply out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

from faktory_unique.testing.go.encode import encode
from faktory_unique.testing.go.errors import GoError, GoTypeError
from faktory_unique.testing.go.json import decode
from faktory_unique.testing.go.shapes import zero
from faktory_unique.testing.go.time import format_time

from . import admin_commands
from .errors import CommandError
from .replies import NIL, OK, after, bulk, words
from .schemas import ACKNOWLEDGED, BEAT, FAILED, JOB, JOBS, REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from faktory_unique.testing.go.shapes import Shape, Value

    from .core import Core
    from .session import Session

# How long FETCH waits for a job (manager/fetch.go:187), and a quiet worker's for nothing.
FETCH_WAIT = 2.0

# How often a waiting FETCH looks whether time has brought a job: nothing ticks here.
_LOOK = 0.05


def _decode_or_say(data: bytes, shape: Shape, verb: str) -> Value:
    try:
        return decode(data, shape)
    except GoError as exc:
        raise _invalid(verb, data) from exc


def _invalid(verb: str, data: bytes) -> CommandError:
    return CommandError(f"invalid {verb} {data.decode(errors='surrogateescape')}")


def _push(session: Session, line: bytes) -> bytes:
    data = after(line, 5)
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


def _push_job(session: Session, job: Value) -> None:
    session.core.manager.push(job)
    session.pushed.append(job)
    session.core.enqueued.notify_all()


def _push_bulk(session: Session, line: bytes) -> bytes:
    try:
        jobs = decode(after(line, 6), JOBS) or []
    except GoError as exc:
        raise CommandError(f"invalid JSON: {exc}") from exc
    refused: dict[str, str] = {}
    with session.core.lock:
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
    names = words(line)
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
    try:
        while waiter.payload is None and not core.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            core.enqueued.wait(min(left, _LOOK))
            core.catch_up()
    finally:  # after a Ctrl-C, too, or the next job would be given to nobody
        core.manager.queues.leave(waiter)
    return waiter.payload


def _acknowledge(session: Session, line: bytes) -> bytes:
    data = after(line, 4)
    told = _decode_or_say(data, ACKNOWLEDGED, "ACK")
    if told is None or "jid" not in told:
        raise _invalid("ACK", data)
    with session.core.lock:
        session.core.manager.acknowledge(told["jid"])
    return OK


def _fail(session: Session, line: bytes) -> bytes:
    failure = _decode_or_say(after(line, 5), FAILED, "FAIL")
    with session.core.lock:
        session.core.manager.fail(failure)
    return OK


def _beat(session: Session, line: bytes) -> bytes:
    beat = _decode_or_say(after(line, 5), BEAT, "BEAT")
    core = session.core
    with core.lock:
        worker = core.workers.beat(beat["wid"], beat["current_state"], core.clock())
    if worker is None:
        raise CommandError(f"unknown worker {beat['wid']}")
    return bulk(f'{{"state":"{worker.state}"}}') if worker.state else OK


def _end(session: Session, _line: bytes) -> bytes:
    session.close()
    return b""


Command: TypeAlias = "Callable[[Session, bytes], bytes]"

COMMANDS: dict[bytes, Command] = {
    b"END": _end,
    b"PUSH": _push,
    b"PUSHB": _push_bulk,
    b"FETCH": _fetch,
    b"ACK": _acknowledge,
    b"FAIL": _fail,
    b"BEAT": _beat,
    b"INFO": admin_commands.tell_info,
    b"FLUSH": admin_commands.flush,
    b"MUTATE": admin_commands.mutate_set,
    b"BATCH": admin_commands.enterprise("batch"),
    b"TRACK": admin_commands.enterprise("tracking"),
    b"QUEUE": admin_commands.change_queues,
}
