"""`ChildProcess`: one child process seen from its consumer: started, sent jobs, crashed, killed.

A process runs one job at a time. If it dies, only that job fails. The consumer detects a death by
the end of the process, not by a message that might never arrive, and starts a new process for the
next job.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import signal
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from faktory_unique._util import new_selector

from .child import STARTED, Message, run_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

    from .handler_call import HandlerCall, JobResult

# The time between checks that a process still exists. Its pipe may stay open although it is gone:
# another process may have inherited a copy of its end.
_EXIT_CHECK_SECONDS = 1.0

# A process can die while it is idle. The next job must not fail for that: another process gets it.
_MAX_PROCESSES_TRIED = 3

# One start at a time: a process that is forked while another's pipe is being made would inherit it,
# and keep it open. By process id: a forked process inherits the mutex of its own start, acquired.
_start_mutexes: dict[int, threading.Lock] = {}


class ProcessEnded(Exception):
    """The process ended after the handler had started and before it returned."""


class NotStarted(Exception):
    """No process has read the job, so its handler has not started."""


class _RunningProcess(NamedTuple):
    """A process that was started, with its pipe, and a selector of both that is made only once."""

    process: BaseProcess
    pipe: Connection
    selector: selectors.BaseSelector


class ChildProcess:
    """A process for one job at a time. It is started when needed, and again after it has ended.

    Args:
        context: the multiprocessing context.
    """

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self._running: _RunningProcess | None = None
        self._calls = 0  # those that the process was sent
        self._killed = False

    def start(self) -> _RunningProcess:
        """Start the process, unless it is alive. Return it.

        Raises:
            OSError: the machine has no more processes, descriptors or memory.
        """
        if self._running is not None and self._running.process.is_alive():
            return self._running
        self._discard()
        with _start_mutexes.setdefault(os.getpid(), threading.Lock()):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(  # type: ignore[attr-defined]  # typeshed leaves it to each context
                target=run_jobs, args=[theirs], name="faktory-worker"
            )
            try:
                process.start()
            except BaseException:  # also a Ctrl-C during the start: leave no descriptor open
                ours.close()
                raise
            finally:
                theirs.close()
        selector = new_selector()
        selector.register(ours, selectors.EVENT_READ)
        selector.register(process.sentinel, selectors.EVENT_READ)
        self._running = _RunningProcess(process, ours, selector)
        self._calls = 0
        return self._running

    def perform(self, call: HandlerCall) -> JobResult:
        """Run a handler in the process. Return its result.

        Raises:
            ProcessEnded: the process ended before the handler returned.
            NotStarted: no process could be started, each one ended before it had read the job, or
                the consumer has stopped.
            Exception: the call cannot be pickled. The handler has not run.
        """
        for _ in range(_MAX_PROCESSES_TRIED):
            if self._killed:
                raise NotStarted("the consumer has stopped")
            try:
                running = self.start()
            except OSError as exc:
                raise NotStarted(f"no process could be started: {exc}") from exc
            with contextlib.suppress(NotStarted):
                self._send(running, call)
                return self._receive(running)
        raise NotStarted(f"{_MAX_PROCESSES_TRIED} processes ended before they had read the job")

    def kill(self) -> None:
        """End the process at once, whether it is busy or not. It is not started again."""
        self._killed = True
        if self._running is not None:
            self._running.process.kill()

    def dismiss(self) -> None:
        """Ask the process to end when it is idle."""
        if self._running is not None:
            with contextlib.suppress(OSError):
                self._running.pipe.send(None)

    def close(self, deadline: float) -> None:
        """Wait for a dismissed process to end. Kill it at the deadline.

        Args:
            deadline: a time of `time.monotonic`.
        """
        if self._running is not None:
            self._running.process.join(max(0.0, deadline - time.monotonic()))
        self.kill()
        self._discard()

    def _send(self, running: _RunningProcess, call: HandlerCall) -> None:
        """Send a call to the process.

        Raises:
            NotStarted: the process has ended.
        """
        try:
            running.pipe.send(call)
            self._calls += 1
        except OSError as exc:
            self._discard()
            raise NotStarted from exc

    def _receive(self, running: _RunningProcess) -> JobResult:
        """Wait for the result of the call that was sent.

        Raises:
            ProcessEnded: the process ended while the handler ran.
            NotStarted: the process ended before it had read the job.
        """
        started = False
        try:
            for pickled in self._messages(running):
                message = pickle.loads(pickled)  # noqa: S301  # our own process, our own pipe
                if not isinstance(message, Message) or message.call_number != self._calls:
                    continue  # a handler has written it, perhaps that of an earlier job
                if message.content is not STARTED:
                    return message.content
                started = True
        except BaseException as exc:
            self._discard()  # a later job must not get what this job has left in the pipe
            if isinstance(exc, Exception):
                raise ProcessEnded(f"the result could not be read: {type(exc).__name__}") from exc
            raise
        self._discard()
        raise ProcessEnded(_end_message(running.process.exitcode)) if started else NotStarted

    def _messages(self, running: _RunningProcess) -> Iterator[bytes]:
        """Yield each pickled message of the process until it has ended."""
        process, pipe, selector = running
        ended = False
        while True:
            if self._killed:  # while the process was being started
                process.kill()
            ready = {key.fd for key, _ in selector.select(0 if ended else _EXIT_CHECK_SECONDS)}
            if pipe.fileno() in ready:
                try:
                    pickled = pipe.recv_bytes()
                except (EOFError, OSError):  # closed by the handler, or by the end of the process
                    selector.unregister(pipe)
                else:
                    yield pickled
            elif ended:
                return
            else:
                # The sentinel, too: if SIGCHLD is ignored, `is_alive` stays true for ever. Then
                # poll once more, for messages that the process sent before it ended.
                ended = process.sentinel in ready or not process.is_alive()

    def _discard(self) -> None:
        """Kill the process if it still runs, and close its pipe."""
        running, self._running = self._running, None
        if running is not None:
            running.process.kill()
            running.process.join()
            running.selector.close()
            running.pipe.close()


def _end_message(exitcode: int | None) -> str:
    cause = "in an unknown way" if exitcode is None else f"with status {exitcode}"
    if exitcode is not None and exitcode < 0:
        with contextlib.suppress(ValueError):  # a number without a name
            cause = f"by signal {signal.Signals(-exitcode).name}"
    return f"the process ended {cause} before the handler returned"
