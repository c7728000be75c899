"""Two deaths, told by a process that may not wait for its children: `-m … START`."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time

from faktory_unique.worker.child import Task
from faktory_unique.worker.process_pool import ProcessEnded, WorkerProcess
from tests.integration import handlers

if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    process = WorkerProcess(multiprocessing.get_context(sys.argv[1]))
    job = {"jid": "jid-00000001", "jobtype": "T", "args": []}
    for _ in range(2):
        try:
            process.perform(Task((), handlers.die, job, False, False))
        except ProcessEnded as exc:
            sys.stdout.write(f"{exc}\n")
    process.close(time.monotonic())
