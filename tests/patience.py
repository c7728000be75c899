"""Time limits of the tests, for a machine that is busy with other work.

Each wait ends with its condition. A limit only ends a test that would never end.
"""

from __future__ import annotations

import time

PATIENCE = 120.0
"""Seconds to wait for any condition, process or reply."""


def wait_for(condition, timeout=PATIENCE):
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {condition!r} is {value!r}"
        time.sleep(0.01)
    return value


def takes(act, *, below, least=0.0, tries=10):
    """Return whether `act` takes less than some seconds, in the quickest of some tries.

    A single try can be slow on a busy machine. What is too slow by itself is so in each try.

    Args:
        act: a function without arguments.
        below: seconds that the quickest try must take less than.
        least: seconds that each try must take.
        tries: the number of tries; the first quick one is the last.
    """
    for _ in range(tries):
        since = time.monotonic()
        act()
        took = time.monotonic() - since
        assert took >= least
        if took < below:
            return True
    return False
