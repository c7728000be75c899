"""Fixtures of the audit's scenarios, and a short chaos run that starts with the test session.

The run takes minutes, and waits most of the time. Its test comes last.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.chaos.scenario import EXCLUSIVE_KEY, REPLACE_KEY, Scenario

REPOSITORY = Path(__file__).resolve().parents[2]


class ChaosProcess:
    """A running `python -m tests.chaos`."""

    def __init__(self, *arguments):
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by `end`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos", *arguments],
            cwd=REPOSITORY,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def result(self, seconds):
        """Return its status and its lines; raise TimeoutExpired if it takes longer."""
        status = self._process.wait(seconds)
        self._output.seek(0)
        return status, self._output.read().splitlines()

    def end(self):
        """End it, and with it all processes that it has started."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        self._output.close()


@pytest.fixture
def scenario():
    """An empty `Scenario`."""
    return Scenario()


@pytest.fixture
def running(scenario):
    """x, an exclusive job, runs from 1 to 5; y of the same key is pushed at 2."""
    scenario.push("x", 0, key=EXCLUSIVE_KEY)
    scenario.run("x", 1, takes=4)
    scenario.push("y", 2, key=EXCLUSIVE_KEY)
    return scenario


@pytest.fixture
def replaced(scenario):
    """x waits in its queue when y replaces it."""
    scenario.push("x", 0, key=REPLACE_KEY)
    scenario.push("y", 1, key=REPLACE_KEY, replaces="x")
    return scenario
