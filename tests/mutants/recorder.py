"""Pytest plugin: records which test executes which line, also in the processes that it starts.

`tests.mutants.selection` starts pytest with this plugin and with COVERAGE_PROCESS_START, so that
coverage starts in each Python process. The context of each line is the number of the test.
"""

import contextlib
import json
import os
import sys
import time
from functools import _lru_cache_wrapper
from pathlib import Path

import pytest
from coverage import Coverage

CONTEXT = "MUTANTS_CONTEXT"
"""The environment variable with the number of the running test, which child processes inherit."""

RECORD = "MUTANTS_RECORD"
"""The environment variable with the path of the file that the recorder writes."""


class Recorder:
    """Record the tests of one pytest process.

    Args:
        path: the JSON file to write: lists of test id, seconds, outcome, whether it is on servers,
            and its contexts: its own, and those of the fixtures that it shares with other tests.
    """

    def __init__(self, path):
        self._path = Path(path)
        self._tests = []
        self._fixtures = {}
        self._context = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._shared = set()
        _clear_caches()
        self._outcomes, started = set(), time.monotonic()
        with self._in_context(f"{self._path.stem}.{len(self._tests)}"):
            found = yield
            contexts = [self._context, *self._shared]
        seconds = time.monotonic() - started
        outcome = next(o for o in ("failed", "skipped", "passed") if o in self._outcomes)
        on_servers = any(item.get_closest_marker(m) for m in ("redis", "faktory"))
        self._tests.append([item.nodeid, seconds, outcome, on_servers, contexts])
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        if fixturedef.scope == "function":
            return (yield)
        self._fixtures[fixturedef] = f"{self._path.stem}.fixture-{len(self._fixtures)}"
        with self._in_context(self._fixtures[fixturedef]):
            return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item):
        """Note which shared fixtures the test has used: there is no public list of them."""
        used = item._request._fixture_defs.values()
        self._shared = {self._fixtures[each] for each in used if each in self._fixtures}

    def pytest_runtest_logreport(self, report):
        self._outcomes.add("passed" if hasattr(report, "wasxfail") else report.outcome)

    def pytest_sessionfinish(self):
        self._path.write_text(json.dumps(self._tests))

    @contextlib.contextmanager
    def _in_context(self, context):
        before, self._context = self._context, context
        self._switch()
        try:
            yield
        finally:
            self._context = before
            self._switch()

    def _switch(self):
        os.environ[CONTEXT] = self._context
        if (current := Coverage.current()) is not None:
            current.switch_context(self._context)


def _clear_caches():
    """Empty the caches of functions, so that a test executes each line that it needs."""
    for name, module in list(sys.modules.items()):
        if name.startswith("faktory_unique"):
            for cached in vars(module).values():
                if isinstance(cached, _lru_cache_wrapper):
                    cached.cache_clear()


def _continue_in_fork():
    """Give the test's context to the coverage that started again in a forked child."""
    if (current := Coverage.current()) is not None:
        current.switch_context(os.environ.get(CONTEXT, ""))


def pytest_configure(config):
    os.register_at_fork(after_in_child=_continue_in_fork)
    config.pluginmanager.register(Recorder(os.environ[RECORD]))
