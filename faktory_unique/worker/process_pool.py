"""The processes in which handlers run: one job each at a time, and each death costs that job alone.

A process that ends while it has a job, however it ends, is told from its end and not from a message
that it could fail to send; the next job gets a new one. Nothing is shared between processes, so
that one cannot hold up another.
"""

from __future__ import annotations

import contextlib
import select
import signal
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .child import BEGUN, serve

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

    from faktory_unique.middleware import JobError, Requeue

    from .child import Task, Told

# How soon a consumer notices that a process has ended where the end of its pipe does not tell:
# another process may have inherited a copy of it. Milliseconds.
_LOOK = 1_000

# A process can die idle, and its job must not pay for that.
_TRIES = 3

# Seconds that idle processes have to flush what they have written, and to end.
_FAREWELL = 1.0

# A process that is forked while another's pipe is being made would keep that pipe from ending.
_starting = threading.Lock()


class ProcessEnded(Exception):
    """The process of a job has ended before its handler did."""


class NotBegun(Exception):
    """No process has so much as read the job."""


class _Life(NamedTuple):
    process: BaseProcess
    pipe: Connection
    news: select.poll  # of both; multiprocessing's own `wait` makes one anew each time


class WorkerProcess:
    """One process, started when first needed and again when it has ended.

    Args:
        context: how processes are made.
    """

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self._life: _Life | None = None
        self._killed = False

    def start(self) -> _Life:
        """Starts the process, unless it lives."""
        if self._life is not None and self._life.process.is_alive():
            return self._life
        self._forget()
        with _starting:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(  # type: ignore[attr-defined]  # typeshed leaves it to each context
                target=serve, args=[theirs], name="faktory-worker"
            )
            try:
                process.start()
            except BaseException:  # a Ctrl-C amid the start, too: no descriptor is left open
                ours.close()
                raise
            finally:
                theirs.close()
        news = select.poll()
        news.register(ours, select.POLLIN)
        news.register(process.sentinel, select.POLLIN)
        self._life = _Life(process, ours, news)
        return self._life

    def perform(self, task: Task) -> JobError | Requeue | None:
        """Has a handler run; what it came to.

        Raises:
            ProcessEnded: the process has ended before the handler did.
            NotBegun: no process could be started, or each that was ended before it had read the
                job, or the consumer has stopped.
            Exception: the task cannot be pickled; nothing has run.
        """
        for _ in range(_TRIES):
            if self._killed:
                raise NotBegun("the consumer has stopped")
            try:
                life = self.start()
            except OSError as exc:
                raise NotBegun(f"no process could be started: {exc}") from exc
            with contextlib.suppress(NotBegun):
                self._send(life, task)
                return self._receive(life)
        raise NotBegun(f"{_TRIES} processes have ended before they had read the job")

    def kill(self) -> None:
        """Ends the process at once and for good, whatever it does."""
        self._killed = True
        if self._life is not None:
            self._life.process.kill()

    def dismiss(self) -> None:
        """Asks the process to end, once it is idle."""
        if self._life is not None:
            with contextlib.suppress(OSError):
                self._life.pipe.send(None)

    def close(self, deadline: float) -> None:
        """Waits for the end of a process that was dismissed, and then for it no more."""
        if self._life is not None:
            self._life.process.join(max(0.0, deadline - time.monotonic()))
        self.kill()
        self._forget()

    def _send(self, life: _Life, task: Task) -> None:
        try:
            life.pipe.send(task)
        except OSError as exc:
            self._forget()
            raise NotBegun from exc

    def _receive(self, life: _Life) -> JobError | Requeue | None:
        process, pipe, news = life
        begun = ended = False
        while True:
            if self._killed:  # while it was being started
                process.kill()
            ready = {descriptor for descriptor, _ in news.poll(0 if ended else _LOOK)}
            if pipe.fileno() in ready:
                try:
                    told: Told = pipe.recv()
                except (EOFError, OSError):  # closed by its handler, or by its end
                    news.unregister(pipe)
                else:
                    if told is not BEGUN:
                        return told
                    begun = True
            elif ended:
                self._forget()
                raise ProcessEnded(_told(process.exitcode)) if begun else NotBegun
            else:
                # By its sentinel too: where SIGCHLD is ignored, it is alive for ever. Then once
                # more, for what it sent before it ended.
                ended = process.sentinel in ready or not process.is_alive()

    def _forget(self) -> None:
        """Lets go of a process that has ended, or is to."""
        life, self._life = self._life, None
        if life is not None:
            life.process.kill()
            life.process.join()
            life.pipe.close()


class ProcessPool:
    """As many processes as jobs run at a time.

    Args:
        context: how processes are made.
        number: how many.
    """

    def __init__(self, context: BaseContext, number: int) -> None:
        self._all = [WorkerProcess(context) for _ in range(number)]
        self._idle = deque(self._all)
        self.killed = False

    def start(self) -> None:
        """Starts them all, so that no job waits for one."""
        for process in self._all:
            process.start()

    def perform(self, task: Task) -> JobError | Requeue | None:
        """Has a handler run in a process that is idle; see `WorkerProcess.perform`."""
        try:
            process = self._idle.pop()  # the one that was used last: it is warm
        except IndexError:
            raise NotBegun("the consumer has stopped") from None
        try:
            if self.killed:
                raise NotBegun("the consumer has stopped")
            return process.perform(task)
        finally:
            self._idle.append(process)

    def kill(self) -> int:
        """Ends those that have a job, at once: their handlers are cut off. No other begins.

        Returns:
            How many they were.
        """
        self.killed = True
        busy = [process for process in self._all if process not in self._idle]
        for process in busy:
            process.kill()
        return len(busy)

    def close(self) -> None:
        """Ends those that are idle."""
        idle = [self._idle.pop() for _ in range(len(self._idle))]
        for process in idle:
            process.dismiss()
        deadline = time.monotonic() + _FAREWELL
        for process in idle:
            process.close(deadline)


def _told(exitcode: int | None) -> str:
    how = "in an unknown way" if exitcode is None else f"with status {exitcode}"
    if exitcode is not None and exitcode < 0:
        with contextlib.suppress(ValueError):  # a number without a name
            how = f"by signal {signal.Signals(-exitcode).name}"
    return f"the process ended {how} before the handler returned"
