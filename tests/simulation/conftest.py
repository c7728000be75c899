"""Counts of all that the simulation tried, for the end of the run; no logging."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture
def tally(record_property):
    """`tally(orders=7)` adds to the counts of scenarios, faults and mutations that were tried."""
    return lambda **counts: record_property("simulation", counts)


@pytest.fixture(autouse=True)
def _no_logging(no_cover):
    """Disable logging: each run logs dozens of expected warnings, which take time to format.

    Measure no coverage: it takes three times as long, and other tests cover the same lines.
    """
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
