"""Recipes, copied off docs/recipes.md and run on the real servers."""

from __future__ import annotations

import importlib.util
import time
from contextlib import ExitStack

import pytest

from faktory_unique import Client
from faktory_unique.testing import sizes, wait_for
from tests.recipes.page import copied
from tests.recipes.workers import LOGGED, Worker


class Recipe:
    """A block of the page, in a folder: its module, for pushing, and its workers.

    Attributes:
        module: the block, imported.
        said: what its workers have printed, in order.
    """

    def __init__(self, path, stack):
        self._path = path
        self._stack = stack
        self.said = []
        spec = importlib.util.spec_from_file_location(path.stem, path)
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        if unique := getattr(self.module, "unique", None):
            stack.callback(unique.close)

    def work(self, **environment):
        """A worker that fetches; it ends with the test."""
        words = ["-c", LOGGED, self._path.name]
        worker = Worker(words, self._path.parent, self.said, **environment)
        self._stack.callback(worker.end)
        wait_for(lambda: "consumer fetches from" in worker.log())
        return worker

    def lines(self):
        return [said.line for said in self.said]


@pytest.fixture
def servers(monkeypatch, faktory_url, redis_url):
    """What README's first block exports."""
    monkeypatch.setenv("FAKTORY_URL", faktory_url)
    monkeypatch.setenv("FAKTORY_UNIQUE_STORE", redis_url)


@pytest.fixture
def recipe(servers, tmp_path):
    """`recipe("report.py")`: that block of the page; with swaps as `copied` has them."""
    with ExitStack() as stack:
        yield lambda name, **swaps: Recipe(copied(name, tmp_path, **swaps), stack)


@pytest.fixture
def jobs_left(servers):
    """How many jobs the server has still, wherever they are but the dead."""

    def left():
        with Client() as client:
            there = sizes(client)
        return sum(there.queues.values()) + there.working + there.retries + there.scheduled

    return left


@pytest.fixture
def all_done(jobs_left):
    """`all_done(seconds=20)`: waits until the server has no job left.

    Three looks: a job on its way from one place to another can be in neither for a moment.
    """

    def wait(seconds=20):
        deadline = time.monotonic() + seconds
        empty = 0
        while empty < 3:
            assert time.monotonic() < deadline, f"{jobs_left()} jobs left after {seconds} s"
            time.sleep(0.1)
            empty = 0 if jobs_left() else empty + 1

    return wait
