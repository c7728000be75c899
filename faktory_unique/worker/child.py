"""What a process of a consumer does: jobs in, what their handlers came to out."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, NoReturn, TypeAlias

from .perform import job_error, perform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

    from faktory_unique.middleware import JobError, Middleware, Payload, Requeue

# How soon a process notices that its consumer is gone where the end of its pipe does not tell:
# another process may have inherited a copy of it.
_LOOK = 1.0


class Begun(Enum):
    """Told when a job has been read, and its handler is about to run."""

    BEGUN = "begun"


BEGUN = Begun.BEGUN

Told: TypeAlias = "Literal[Begun.BEGUN] | JobError | Requeue | None"


class Task(NamedTuple):
    """What a process is given for one job; see `perform`."""

    middleware: Sequence[Middleware]
    handler: Callable[..., object]
    job: Payload
    bind: bool
    tell_sentry: bool


def serve(pipe: Connection) -> None:
    """The life of a process: a job in, what it came to out, until its consumer is gone."""
    consumer, process = os.getppid(), os.getpid()
    # A Ctrl-C, or a service manager's SIGTERM to the whole group, is the consumer's to act on: jobs
    # have their grace period.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, partial(_end_without, consumer))
    with contextlib.suppress(EOFError, OSError):
        while True:
            while not pipe.poll(_LOOK):
                if os.getppid() != consumer:
                    return
            came_to = _perform_next(pipe, pipe.recv_bytes())
            if os.getpid() != process:
                _end_a_fork()
            pipe.send(came_to)


def _perform_next(pipe: Connection, sent: bytes) -> JobError | Requeue | None:
    try:
        task: Task | None = pickle.loads(sent)  # noqa: S301  # sent by its own consumer over their own pipe
    except BaseException as exc:  # noqa: BLE001  # its handler cannot be imported here, say
        return job_error(exc)
    if task is None:
        raise EOFError("dismissed")
    pipe.send(BEGUN)
    return perform(
        task.middleware,
        task.handler,
        task.job,
        bind=task.bind,
        tell_sentry=task.tell_sentry,
    )


def _end_a_fork() -> NoReturn:
    """Ends the copy of this process that a handler has forked, and let return: it has no job."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _end_without(consumer: int, *_signal: object) -> None:
    """Ends this process if its consumer is gone, and nobody else will."""
    if os.getppid() != consumer:
        os._exit(1)
