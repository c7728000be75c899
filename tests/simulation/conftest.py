"""Counts of all that the simulation tried, printed at the end of the run."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

TALLY = pytest.StashKey[Counter[str]]()


@pytest.fixture
def tally(request):
    """Return the `Counter` of scenarios, faults and mutations that were tried."""
    return request.config.stash[TALLY]


@pytest.fixture(autouse=True)
def _no_logging():
    """Disable logging: each run logs dozens of expected warnings, which take time to format."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def pytest_configure(config):
    config.stash[TALLY] = Counter()


def pytest_terminal_summary(terminalreporter, config):
    tally = config.stash[TALLY]
    if tally:
        figures = " ".join(f"{name}={number}" for name, number in tally.items())
        terminalreporter.write_line(f"simulation: {figures}")
