"""Workers: a recipe's module, run as the page says, and what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import NamedTuple

# `python FILE`, with the log on stderr: what steps aside prints nothing.
LOGGED = """
import logging, runpy, sys
logging.basicConfig(level="DEBUG")
runpy.run_path(sys.argv[1], run_name="__main__")
"""


class Said(NamedTuple):
    """A line of a worker's."""

    worker: Worker
    line: str


class Worker:
    """A process in a group of its own, which its handlers' processes belong to.

    Args:
        words: its command line, after `python`.
        folder: where it runs.
        heard: gets each line that it prints, as it comes: of several workers, in one order.
        environment: what it knows besides.
    """

    def __init__(self, words, folder, heard, **environment):
        self._log = (folder / f"log-{len(list(folder.glob('log-*')))}").open("x", encoding="utf-8")
        known = {**os.environ, **environment}
        # With it, a line and its end are two writes, between which another handler's may come.
        known.pop("PYTHONUNBUFFERED", None)
        self._process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            env=known,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._heard = heard
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()

    def log(self):
        """What it has logged so far."""
        with open(self._log.name, encoding="utf-8") as log:  # noqa: PTH123  # its own name
            return log.read()

    def kill(self):
        """kill -9, and its handlers' processes with it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self):
        """Has it end as the page says, if it lives; what it logged."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(40)  # jobs that run have 25 seconds
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            assert self._process.returncode == 0, self.log()
        self._listening.join(10)
        self._process.stdout.close()
        self._log.close()

    def _listen(self):
        for line in self._process.stdout:
            self._heard.append(Said(self, line.rstrip("\n")))
