"""Runs pytest in a forked child for each line of its input: a JSON list of pytest's arguments.

It imports slow libraries once, but nothing of the package. It replies with the exit code. It is the
parent of each process that a test has left behind, so that `Tree` finds and ends it.
"""

import ctypes
import importlib
import json
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SLOW = ("hypothesis.strategies", "pydantic_settings", "pytest", "redis", "rich.live", "typer")


def main():
    for name in _SLOW:
        importlib.import_module(name)
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            for stream, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
                os.dup2(os.open(os.devnull, flags), stream)
            sys.argv = ["pytest", *json.loads(line)]
            runpy.run_module("pytest", run_name="__main__", alter_sys=True)
        while (ended := os.wait())[0] != pid:
            pass  # an orphan
        print(os.waitstatus_to_exitcode(ended[1]), flush=True)


if __name__ == "__main__":
    main()
