"""The main loop of a child process: runs handlers, also if they fork; ends with its consumer.

It ignores Ctrl-C, and ends the copies of itself that a handler has forked.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from enum import Enum
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Literal, NamedTuple, NoReturn

from .handler_call import job_error, perform

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from .handler_call import HandlerCall, JobResult

# Seconds between checks that the consumer still exists. The pipe may stay open without it: another
# process may have inherited a copy of its end.
_CONSUMER_CHECK_SECONDS = 1.0


class Started(Enum):
    """The message that a job has been read and its handler is about to run."""

    STARTED = "started"


STARTED = Started.STARTED


class Message(NamedTuple):
    """A message to the consumer. For each call there are two: STARTED, then the result.

    Attributes:
        call_number: the number of the call that the process has received, counted from 1. Handlers
            can write to the pipe: without a number, that would be the result of another job.
        content: STARTED or the result.
    """

    call_number: int
    content: Literal[Started.STARTED] | JobResult


def run_jobs(pipe: Connection) -> None:
    """Receive `HandlerCall`s and send their results, until None arrives or the consumer is gone.

    Args:
        pipe: the connection to the consumer.
    """
    consumer_pid, own_pid = os.getppid(), os.getpid()
    # Only the consumer handles Ctrl-C, and a service manager's SIGTERM to the whole group: its jobs
    # have a grace period.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, partial(_exit_if_consumer_is_gone, consumer_pid))
    with contextlib.suppress(EOFError, OSError):
        for call_number in count(1):
            while not pipe.poll(_CONSUMER_CHECK_SECONDS):
                if os.getppid() != consumer_pid:
                    return
            result = _run_job(pipe, call_number, pipe.recv_bytes())
            if os.getpid() != own_pid:
                _exit_forked_copy()
            pipe.send(Message(call_number, result))


def _run_job(pipe: Connection, call_number: int, pickled: bytes) -> JobResult:
    """Run the handler of a pickled `HandlerCall`. Return its result.

    Raises:
        EOFError: None was received instead: the process is to end.
    """
    try:
        call: HandlerCall | None = pickle.loads(pickled)  # noqa: S301  # sent by its own consumer over their own pipe
    except BaseException as exc:  # noqa: BLE001  # for example, its handler cannot be imported here
        return job_error(exc)
    if call is None:
        raise EOFError("dismissed by the consumer")
    pipe.send(Message(call_number, STARTED))
    return perform(call)


def _exit_forked_copy() -> NoReturn:
    """End this copy of the process: a handler forked it and returned in it. It has no job."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _exit_if_consumer_is_gone(consumer_pid: int, *_signal: object) -> None:
    """End this process if its consumer is gone: no other process will end it."""
    if os.getppid() != consumer_pid:
        os._exit(1)
