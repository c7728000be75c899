"""A fixed sample of changes in the formulas and tables of the locks: the unit tests notice them."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

MODULES = [
    *("locks/keys", "locks/lifecycle", "locks/lock_ttl", "locks/replies", "locks/server_rules"),
    *("locks/stamp", "locks/transition", "policy/job_options"),
]
TESTS = [
    *("keys", "lifecycle", "lifecycle_side_keys", "replies", "server_rules", "reservation"),
    *("stamp", "transition", "job_options", "push_outage"),
]


@pytest.mark.long
@pytest.mark.timeout(3_600)  # against a hang alone: a busy machine takes minutes
def test_tests_notice_changes_of_the_rules():
    command = [
        *(sys.executable, "-m", "tests.mutants", "--sample", "40", "--seed", "19"),
        *("--only", *(f"faktory_unique/{module}.py" for module in MODULES)),
        *("--tests", *(f"tests/unit/test_{name}.py" for name in TESTS)),
        "tests/vectors/test_ours.py",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^mutants: sampled=40 killed=\d\d ", ended.stdout, re.MULTILINE)
