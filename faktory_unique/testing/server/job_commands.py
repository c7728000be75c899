"""The commands of producers and workers: PUSH, PUSHB, FETCH, ACK, FAIL, BEAT, END.

Each receives a line and returns its reply (server/commands.go).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .errors import CommandError, ParseError
from .go_json import decode, encode, zero
from .go_time import format_time
from .replies import NIL, OK, argument, bulk, words
from .schemas import ACK, BEAT, FAIL, JOB, JOBS

if TYPE_CHECKING:
    from .core import Core
    from .go_json import Shape, Value
    from .session import Session

# Seconds for which FETCH waits for a job (manager/fetch.go:187). It waits for a quiet worker, too.
FETCH_WAIT = 2.0

# Seconds until a waiting FETCH looks again whether a job became due: nothing ticks here.
_POLL_INTERVAL = 0.05


def push(session: Session, line: bytes) -> bytes:
    """PUSH: enqueue or schedule one job."""
    data = argument(line, "PUSH")
    manager = session.core.manager
    with session.core.mutex:
        job = zero(JOB) | {"retry": manager.default_retry}
        try:
            decode(data, JOB, into=job)
        except ParseError as exc:
            raise CommandError(f"invalid JSON: {exc}") from exc
        finally:
            manager.share_retry(job)  # even if the job is refused
        _push_job(session, job)
    return OK


def push_bulk(session: Session, line: bytes) -> bytes:
    """PUSHB: enqueue or schedule jobs; the reply has the errors of those refused, by jid."""
    try:
        jobs = decode(argument(line, "PUSHB"), JOBS) or []
    except ParseError as exc:
        raise CommandError(f"invalid JSON: {exc}") from exc
    errors: dict[str, str] = {}
    with session.core.mutex:
        created = format_time(session.core.now())  # one for all (server/commands.go:179)
    for job in jobs:
        job["created_at"] = job["created_at"] or created
        with session.core.mutex:  # one job at a time, as on the server
            if job["retry"] is None:
                job["retry"] = session.core.manager.default_retry
            try:
                _push_job(session, job)
            except CommandError as exc:
                errors[job["jid"]] = str(exc)
    return bulk(encode(errors))


def _push_job(session: Session, job: Value) -> None:
    session.core.manager.push(job)
    session.add_pushed(job)
    session.core.enqueued.notify_all()


def fetch(session: Session, line: bytes) -> bytes:
    """FETCH: reserve the oldest job of the first queue that has one, or wait for a job."""
    core = session.core
    with core.mutex:
        quiet = core.workers.is_quiet(session.wid, session)
    if quiet:
        time.sleep(FETCH_WAIT)
        return NIL
    names = words(line)
    if not names:
        raise CommandError("must call fetch with at least one queue")
    with core.mutex:
        # Once: a queue that is paused during the wait still gives its job (manager/fetch.go:98).
        active = core.manager.queues.active(names)
        payload = core.manager.queues.pop(active)
        if payload is None:
            payload = _wait_for_job(core, active)
        if payload is None:
            return NIL
        return bulk(core.manager.reserve(session.wid, payload))


def _wait_for_job(core: Core, names: list[str]) -> str | None:
    """Return the first payload that reaches one of the queues within `FETCH_WAIT`; else None."""
    deadline = time.monotonic() + FETCH_WAIT
    waiter = core.manager.queues.add_waiter(names)
    try:
        while waiter.payload is None and not core.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            core.enqueued.wait(min(left, _POLL_INTERVAL))
            core.catch_up()
    finally:  # after a Ctrl-C, too, or the next job would be lost
        core.manager.queues.remove_waiter(waiter)
    return waiter.payload


def acknowledge(session: Session, line: bytes) -> bytes:
    """ACK: end a job."""
    data = argument(line, "ACK")
    report = _decode_report(data, ACK, "ACK")
    if report is None or "jid" not in report:
        raise _invalid("ACK", data)
    with session.core.mutex:
        session.core.manager.acknowledge(report["jid"])
    return OK


def fail(session: Session, line: bytes) -> bytes:
    """FAIL: retry a job later, move it to the dead set, or drop it."""
    failure = _decode_report(argument(line, "FAIL"), FAIL, "FAIL")
    with session.core.mutex:
        session.core.manager.fail(failure)
    return OK


def beat(session: Session, line: bytes) -> bytes:
    """BEAT: record a heartbeat; the reply has the state that the worker must change to."""
    heartbeat = _decode_report(argument(line, "BEAT"), BEAT, "BEAT")
    core = session.core
    with core.mutex:
        worker = core.workers.beat(heartbeat["wid"], heartbeat["current_state"], core.clock())
    if worker is None:
        raise CommandError(f"unknown worker {heartbeat['wid']}")
    return bulk(f'{{"state":"{worker.state}"}}') if worker.state else OK


def end(session: Session, _line: bytes) -> bytes:
    """END: end the connection, without a reply."""
    session.close()
    return b""


def _decode_report(data: bytes, shape: Shape, verb: str) -> Value:
    try:
        return decode(data, shape)
    except ParseError as exc:
        raise _invalid(verb, data) from exc


def _invalid(verb: str, data: bytes) -> CommandError:
    return CommandError(f"invalid {verb} {data.decode(errors='surrogateescape')}")
