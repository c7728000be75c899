"""Worker processes: a recipe's module, run as the page says, and the lines that it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import NamedTuple

from tests.patience import PATIENCE

# `python FILE`, with the log on stderr: a superseded job prints nothing.
LOGGED = """
import logging, runpy, sys
logging.basicConfig(level="DEBUG")
runpy.run_path(sys.argv[1], run_name="__main__")
"""


class Printed(NamedTuple):
    """A line that a worker has printed."""

    worker: Worker
    line: str


class Worker:
    """A process in a process group of its own, which includes its handlers' processes.

    Args:
        arguments: its command line, after `python`.
        folder: its working directory.
        printed: gets each line that it prints at once. Several workers can share it.
        environment: further environment variables.
    """

    def __init__(self, arguments, folder, printed, **environment):
        self._log = (folder / f"log-{len(list(folder.glob('log-*')))}").open("x", encoding="utf-8")
        env = {**os.environ, **environment}
        # With it, a line and its end are two writes, and another handler's line may come between.
        env.pop("PYTHONUNBUFFERED", None)
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._printed = printed
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def log(self):
        """Return its log so far."""
        with open(self._log.name, encoding="utf-8") as log:  # noqa: PTH123  # its own name
            return log.read()

    def kill(self):
        """Kill it by SIGKILL, with its handlers' processes."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self):
        """End it by Ctrl-C, as the page says, if it is alive."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE)  # running jobs have 25 seconds
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            assert self._process.returncode == 0, self.log()
        self._reader.join(PATIENCE)
        self._process.stdout.close()
        self._log.close()

    def _read(self):
        for line in self._process.stdout:
            self._printed.append(Printed(self, line.rstrip("\n")))
