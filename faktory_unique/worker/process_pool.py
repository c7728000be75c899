"""`ProcessPool`: the child processes of a consumer, one for each job at a time; killed together.

Processes share nothing, so no process can block another.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from .child_process import ChildProcess, NotStarted

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from .handler_call import HandlerCall, JobResult

# Time for idle processes to flush their output and to end.
_DISMISSAL_SECONDS = 1.0


class ProcessPool:
    """The child processes of one run of a consumer, one for each job that runs at a time.

    Args:
        context: the multiprocessing context.
        size: the number of processes.

    Attributes:
        killed: whether `kill` was called.
    """

    def __init__(self, context: BaseContext, size: int) -> None:
        self._processes = [ChildProcess(context) for _ in range(size)]
        self._idle = deque(self._processes)
        self.killed = False

    def start(self) -> None:
        """Start all processes, so that no job waits for a start."""
        for process in self._processes:
            process.start()

    def perform(self, call: HandlerCall) -> JobResult:
        """Run a handler in an idle process; see `ChildProcess.perform`."""
        try:
            process = self._idle.pop()  # the process that was used last: its caches are warm
        except IndexError:
            raise NotStarted("the consumer has stopped") from None
        try:
            if self.killed:
                raise NotStarted("the consumer has stopped")
            return process.perform(call)
        finally:
            self._idle.append(process)

    def kill(self) -> int:
        """Refuse further jobs, and kill the processes that have a job. Return the number killed."""
        self.killed = True
        busy = [process for process in self._processes if process not in self._idle]
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
