"""Fixtures that copy recipes from docs/recipes.md and run them on real servers."""

from __future__ import annotations

import importlib.util
import time
from contextlib import ExitStack

import pytest

from faktory_unique import Client
from faktory_unique.testing import sizes
from tests.patience import PATIENCE, wait_for
from tests.recipes.page import copied
from tests.recipes.workers import LOGGED, Worker


class Recipe:
    """A block of the page, in a folder: its module, for pushing, and its workers.

    Attributes:
        module: the block, imported.
        printed: the lines that its workers have printed, in order.
    """

    def __init__(self, path, stack):
        self._path = path
        self._stack = stack
        self.printed = []
        spec = importlib.util.spec_from_file_location(path.stem, path)
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        if unique := getattr(self.module, "unique", None):
            stack.callback(unique.close)

    def work(self, **environment):
        """Start a worker, and wait until it fetches. It ends with the test."""
        arguments = ["-c", LOGGED, self._path.name]
        worker = Worker(arguments, self._path.parent, self.printed, **environment)
        self._stack.callback(worker.end)
        wait_for(lambda: "consumer started:" in worker.log())
        return worker

    def lines(self):
        """Return what the workers have printed. It arrives a moment after the end of its job."""
        seen = -1
        while seen != len(self.printed):
            seen = len(self.printed)
            time.sleep(0.5)
        return [printed.line for printed in self.printed]


@pytest.fixture
def servers(monkeypatch, faktory_url, redis_url):
    """Set the variables that README's first block exports."""
    monkeypatch.setenv("FAKTORY_URL", faktory_url)
    monkeypatch.setenv("FAKTORY_UNIQUE_STORE", redis_url)


@pytest.fixture
def recipe(servers, tmp_path):
    """`recipe("report.py")` is that block of the page. For swaps see `copied`."""
    with ExitStack() as stack:
        yield lambda name, **swaps: Recipe(copied(name, tmp_path, **swaps), stack)


@pytest.fixture
def jobs_left(servers):
    """Return the number of jobs on the server, except dead jobs."""

    def left():
        with Client() as client:
            now = sizes(client)
        return sum(now.queues.values()) + now.working + now.retries + now.scheduled

    return left


@pytest.fixture
def all_done(jobs_left):
    """`all_done()` waits until the server has no job left.

    It counts three times: for a moment a job that moves between two places can be in neither.
    """

    def wait(timeout=PATIENCE):
        counts = []

        def is_empty():
            counts.append(jobs_left())
            return counts[-3:] == [0, 0, 0]

        wait_for(is_empty, timeout)

    return wait
