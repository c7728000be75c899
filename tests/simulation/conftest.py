"""Counts what the simulation tries, and says so at the end."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

TALLY = pytest.StashKey[Counter[str]]()


@pytest.fixture
def tally(request):
    """What was tried, for the line at the end: a `Counter`."""
    return request.config.stash[TALLY]


@pytest.fixture(autouse=True)
def _quiet():
    """Each run has warnings and errors by the dozen, as it should; to format them takes time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def pytest_configure(config):
    config.stash[TALLY] = Counter()


def pytest_terminal_summary(terminalreporter, config):
    tally = config.stash[TALLY]
    if tally:
        told = " ".join(f"{name}={number}" for name, number in tally.items())
        terminalreporter.write_line(f"simulation: {told}")
