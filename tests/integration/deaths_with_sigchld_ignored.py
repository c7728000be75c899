"""Reports the deaths of two child processes while SIGCHLD is ignored: `-m … START`.

START is the multiprocessing start method.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time

from faktory_unique.worker.child_process import ChildProcess, ProcessEnded
from faktory_unique.worker.handler_call import HandlerCall
from tests.integration import handlers

if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    process = ChildProcess(multiprocessing.get_context(sys.argv[1]))
    job = {"jid": "jid-00000001", "jobtype": "T", "args": []}
    for _ in range(2):
        try:
            process.perform(HandlerCall((), handlers.die, job))
        except ProcessEnded as exc:
            sys.stdout.write(f"{exc}\n")
    process.close(time.monotonic())
