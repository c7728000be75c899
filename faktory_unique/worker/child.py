"""The main loop of a child process: runs jobs' handlers, its signals, and handlers that fork."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias

from .handler_call import job_error, perform

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from .handler_call import HandlerCall, JobResult

# Seconds between checks that the consumer still exists. The end of the pipe may not show that it is
# gone: another process may have inherited a copy of it.
_CONSUMER_CHECK_SECONDS = 1.0


class Started(Enum):
    """Sent when a job has been read and its handler is about to run."""

    STARTED = "started"


STARTED = Started.STARTED

Message: TypeAlias = "Literal[Started.STARTED] | JobResult"
"""The messages to the consumer for one job: STARTED, then the result."""


def run_jobs(pipe: Connection) -> None:
    """Receive `HandlerCall`s and send their results, until None comes or the consumer is gone.

    Args:
        pipe: to the consumer.
    """
    consumer, process = os.getppid(), os.getpid()
    # Ctrl-C, and a service manager's SIGTERM to the whole group, are for the consumer to handle:
    # jobs have their grace period.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, partial(_exit_if_orphaned, consumer))
    with contextlib.suppress(EOFError, OSError):
        while True:
            while not pipe.poll(_CONSUMER_CHECK_SECONDS):
                if os.getppid() != consumer:
                    return
            result = _run_job(pipe, pipe.recv_bytes())
            if os.getpid() != process:
                _exit_forked_copy()
            pipe.send(result)


def _run_job(pipe: Connection, pickled: bytes) -> JobResult:
    try:
        call: HandlerCall | None = pickle.loads(pickled)  # noqa: S301  # sent by its own consumer over their own pipe
    except BaseException as exc:  # noqa: BLE001  # its handler cannot be imported here, say
        return job_error(exc)
    if call is None:
        raise EOFError("dismissed by the consumer")
    pipe.send(STARTED)
    return perform(call)


def _exit_forked_copy() -> NoReturn:
    """End the copy of this process that a handler forked and let return: it has no job."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _exit_if_orphaned(consumer: int, *_signal: object) -> None:
    """End this process if its consumer is gone: no other process will end it."""
    if os.getppid() != consumer:
        os._exit(1)
