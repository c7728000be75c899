"""Begins a short chaos run with the session: it takes minutes, most of them spent waiting.

Its test comes last, and awaits it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from scripts.servers import missing_faktory, missing_redis
from tests.chaos.story import Story

REPOSITORY = Path(__file__).resolve().parents[2]


class Run:
    """A run of `python -m tests.chaos`, beside whatever else is done."""

    def __init__(self, *arguments):
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by `end`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos", *arguments],
            cwd=REPOSITORY,
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )

    def result(self, seconds):
        """Its status and its lines; subprocess.TimeoutExpired where it takes longer than that."""
        status = self._process.wait(seconds)
        self._said.seek(0)
        return status, self._said.read().splitlines()

    def end(self):
        """Ends it, and with it all that it has started."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        self._said.close()


RUN = pytest.StashKey[Run]()
AWAITS = "short_run"


@pytest.fixture
def story():
    """An empty `Story`."""
    return Story()


@pytest.fixture
def short_run(request):
    """The run that began with the session."""
    return request.config.stash[RUN]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=_awaits)


def pytest_collection_finish(session):
    config = session.config
    servers = not (missing_redis() or missing_faktory())
    if servers and not config.option.collectonly and any(map(_awaits, session.items)):
        config.stash[RUN] = Run("--seconds", "15", "--seed", "4")


def pytest_sessionfinish(session):
    if RUN in session.config.stash:
        session.config.stash[RUN].end()


def _awaits(item):
    return AWAITS in getattr(item, "fixturenames", ())
