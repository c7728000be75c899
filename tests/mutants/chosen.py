"""Pytest plugin: runs the tests that MUTANTS_CHOSEN lists, in that order, and lists the failed.

The variable is the path of a JSON list of test ids. The id of the running test is written to the
same path with the suffix `.running`, and the ids of failed tests with the suffix `.failed`.
"""

import json
import os
from pathlib import Path

import pytest

CHOSEN = "MUTANTS_CHOSEN"


class Chosen:
    """Select and order the tests of one pytest process."""

    def __init__(self, path):
        self._path = path
        self._failed = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        by_name = {item.nodeid: item for item in items}
        items[:] = [by_name[n] for n in json.loads(self._path.read_text()) if n in by_name]

    def pytest_runtest_logstart(self, nodeid):
        self._path.with_suffix(".running").write_text(nodeid)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self._failed.append(report.nodeid)

    def pytest_sessionfinish(self):
        self._path.with_suffix(".failed").write_text(json.dumps(self._failed))


def pytest_configure(config):
    config.pluginmanager.register(Chosen(Path(os.environ[CHOSEN])))
