"""If a TTL formula or a comparison of the table is changed, a unit test fails."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

# A module; its unit tests (or others, by their path); the minimum number of its mutants.
HELD = [
    ("locks.keys", ["keys", "vectors/test_ours.py"], 35),
    ("locks.lifecycle", ["lifecycle", "lifecycle_side_keys", "replies"], 60),
    ("locks.lock_ttl", ["lifecycle", "lifecycle_side_keys"], 15),
    ("locks.replies", ["replies"], 10),
    ("locks.server_rules", ["server_rules", "reservation"], 35),
    ("locks.transition", ["transition", "lifecycle"], 20),
    ("locks.stamp", ["stamp"], 30),
    ("policy.job_options", ["job_options"], 20),
]


@pytest.mark.parametrize(("module", "tests", "least"), HELD, ids=[module for module, *_ in HELD])
def test_no_mutant_survives(module, tests, least):
    files = [f"tests/{test if '/' in test else f'unit/test_{test}.py'}" for test in tests]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.mutants.run", f"faktory_unique.{module}", *files],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert int(re.search(r"mutants=(\d+) survived=0", ended.stdout).group(1)) >= least
