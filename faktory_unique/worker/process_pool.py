"""The pool of child processes in which handlers run: how they start, crash, are killed and end.

Each process runs one job at a time, and its death costs that job alone. The consumer detects a
death by the end of the process, not by a message that might never arrive, and starts a new process
for the next job. Processes share nothing, so no process can block another.
"""

from __future__ import annotations

import contextlib
import select
import signal
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .child import STARTED, run_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

    from .child import Message
    from .handler_call import HandlerCall, JobResult

# How often the consumer checks that a process still exists. The end of its pipe may not show that
# it is gone: another process may have inherited a copy of it.
_EXIT_CHECK_MILLISECONDS = 1_000

# A process can die while it is idle. The job that is sent to it must not fail for that.
_MAX_ATTEMPTS = 3

# Time for idle processes to flush what they have written, and to end.
_DISMISSAL_SECONDS = 1.0

# A process that is forked while another's pipe is being made would keep that pipe from ending.
_starting = threading.Lock()


class ProcessEnded(Exception):
    """The process ended after the handler had started and before it returned."""


class NotStarted(Exception):
    """No process has read the job, so its handler has not started."""


class _Running(NamedTuple):
    """A process that was started, and the means to communicate with it."""

    process: BaseProcess
    pipe: Connection
    poller: select.poll  # of both; multiprocessing's own `wait` makes a new one each time


class ChildProcess:
    """One process for one job at a time. It is started when needed, and again after it has ended.

    Args:
        context: the multiprocessing context.
    """

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self._running: _Running | None = None
        self._killed = False

    def start(self) -> _Running:
        """Start the process, unless it is alive. Return it."""
        if self._running is not None and self._running.process.is_alive():
            return self._running
        self._discard()
        with _starting:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(  # type: ignore[attr-defined]  # typeshed leaves it to each context
                target=run_jobs, args=[theirs], name="faktory-worker"
            )
            try:
                process.start()
            except BaseException:  # a Ctrl-C during the start, too: no descriptor is left open
                ours.close()
                raise
            finally:
                theirs.close()
        poller = select.poll()
        poller.register(ours, select.POLLIN)
        poller.register(process.sentinel, select.POLLIN)
        self._running = _Running(process, ours, poller)
        return self._running

    def perform(self, call: HandlerCall) -> JobResult:
        """Run a handler in the process. Return its result.

        Raises:
            ProcessEnded: the process ended before the handler returned.
            NotStarted: no process could be started, each ended before it had read the job, or the
                consumer has stopped.
            Exception: the call cannot be pickled; nothing has run.
        """
        for _ in range(_MAX_ATTEMPTS):
            if self._killed:
                raise NotStarted("the consumer has stopped")
            try:
                running = self.start()
            except OSError as exc:
                raise NotStarted(f"no process could be started: {exc}") from exc
            with contextlib.suppress(NotStarted):
                self._send(running, call)
                return self._receive(running)
        raise NotStarted(f"{_MAX_ATTEMPTS} processes ended before they had read the job")

    def kill(self) -> None:
        """End the process at once and for good, whether it is busy or not."""
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
            deadline: by `time.monotonic`.
        """
        if self._running is not None:
            self._running.process.join(max(0.0, deadline - time.monotonic()))
        self.kill()
        self._discard()

    def _send(self, running: _Running, call: HandlerCall) -> None:
        try:
            running.pipe.send(call)
        except OSError as exc:
            self._discard()
            raise NotStarted from exc

    def _receive(self, running: _Running) -> JobResult:
        started = False
        for message in self._messages(running):
            if message is not STARTED:
                return message
            started = True
        self._discard()
        raise ProcessEnded(_end_message(running.process.exitcode)) if started else NotStarted

    def _messages(self, running: _Running) -> Iterator[Message]:
        """Yield each message of the process, until it has ended."""
        process, pipe, poller = running
        ended = False
        while True:
            if self._killed:  # while it was being started
                process.kill()
            ready = {fd for fd, _ in poller.poll(0 if ended else _EXIT_CHECK_MILLISECONDS)}
            if pipe.fileno() in ready:
                try:
                    yield pipe.recv()
                except (EOFError, OSError):  # closed by its handler, or by its end
                    poller.unregister(pipe)
            elif ended:
                return
            else:
                # By its sentinel too: if SIGCHLD is ignored, `is_alive` stays true for ever. Then
                # poll once more, for messages that it sent before it ended.
                ended = process.sentinel in ready or not process.is_alive()

    def _discard(self) -> None:
        """Kill the process if it still runs, and close its pipe."""
        running, self._running = self._running, None
        if running is not None:
            running.process.kill()
            running.process.join()
            running.pipe.close()


class ProcessPool:
    """The child processes of one run of a consumer, one for each job that runs at a time.

    Args:
        context: the multiprocessing context.
        size: the number of processes.
    """

    def __init__(self, context: BaseContext, size: int) -> None:
        self._all = [ChildProcess(context) for _ in range(size)]
        self._idle = deque(self._all)
        self.killed = False

    def start(self) -> None:
        """Start all processes, so that no job waits for one."""
        for process in self._all:
            process.start()

    def perform(self, call: HandlerCall) -> JobResult:
        """Run a handler in an idle process; see `ChildProcess.perform`."""
        try:
            process = self._idle.pop()  # the one that was used last: it is warm
        except IndexError:
            raise NotStarted("the consumer has stopped") from None
        try:
            if self.killed:
                raise NotStarted("the consumer has stopped")
            return process.perform(call)
        finally:
            self._idle.append(process)

    def kill(self) -> int:
        """Kill the processes that have a job, and refuse further jobs. Return their number."""
        self.killed = True
        busy = [process for process in self._all if process not in self._idle]
        for process in busy:
            process.kill()
        return len(busy)

    def close(self) -> None:
        """End the idle processes."""
        idle = [self._idle.pop() for _ in range(len(self._idle))]
        for process in idle:
            process.dismiss()
        deadline = time.monotonic() + _DISMISSAL_SECONDS
        for process in idle:
            process.close(deadline)


def _end_message(exitcode: int | None) -> str:
    how = "in an unknown way" if exitcode is None else f"with status {exitcode}"
    if exitcode is not None and exitcode < 0:
        with contextlib.suppress(ValueError):  # a number without a name
            how = f"by signal {signal.Signals(-exitcode).name}"
    return f"the process ended {how} before the handler returned"
