"""Pytest plugin: records which test executes which line, also in the processes that it starts.

`tests.mutants.selection` starts pytest with this plugin and with COVERAGE_PROCESS_START, so that
coverage starts in each Python process. The context of each line is the number of the test.
"""

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


class Recorder:
    """Record the tests of one pytest process.

    Args:
        path: the JSON file to write: lists of test id, seconds, outcome, whether it is on servers.
    """

    def __init__(self, path):
        self._path = Path(path)
        self._tests = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._switch(f"{self._path.stem}.{len(self._tests)}")
        _clear_caches()
        self._outcomes, started = set(), time.monotonic()
        found = yield
        seconds = time.monotonic() - started
        on_servers = any(item.get_closest_marker(m) for m in ("redis", "faktory"))
        outcome = next(o for o in ("failed", "skipped", "passed") if o in self._outcomes)
        self._tests.append([item.nodeid, seconds, outcome, on_servers])
        self._switch("")
        return found

    def pytest_runtest_logreport(self, report):
        self._outcomes.add("passed" if hasattr(report, "wasxfail") else report.outcome)

    def pytest_sessionfinish(self):
        self._path.write_text(json.dumps(self._tests))

    def _switch(self, context):
        os.environ[CONTEXT] = context
        Coverage.current().switch_context(context)


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
    config.pluginmanager.register(Recorder(os.environ["MUTANTS_RECORD"]))
