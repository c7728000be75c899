"""life.json: the library, and the programs in Node and Go, do what the file says."""

from __future__ import annotations

import json
import subprocess

import pytest

from faktory_unique.locks.stamp import read_stamp
from tests.patience import PATIENCE
from tests.vectors import life

CASES = json.loads(life.FILE.read_text(encoding="utf-8"))["cases"]
NAMES = [case["name"] for case in CASES]


def test_library_makes_the_transitions_of_the_file():
    assert list(life.cases()) == CASES


@pytest.fixture(scope="module")
def transitions_by_node(node):
    words = [*node, "life", life.FILE]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return dict(zip(NAMES, json.loads(ended.stdout), strict=True))


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_node_worker_makes_the_transitions_of_the_file(transitions_by_node, case):
    assert transitions_by_node[case["name"]] == case["changes"]


def test_go_reads_the_same_stamps_as_the_library(go):
    ended = subprocess.run(
        [*go, "stamps", life.FILE], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    readable = [read_stamp(case["job"]) is not None for case in CASES]
    assert dict(zip(NAMES, json.loads(ended.stdout), strict=True)) == dict(
        zip(NAMES, readable, strict=True)
    )
    assert len(set(readable)) == 2


def test_file_has_transitions_of_every_kind():
    """Each step changes some lock, and leaves another one alone."""
    for step in life.STEPS:
        changed = [case["changes"][step] is not None for case in CASES]
        assert any(changed), step
        assert not all(changed), step
    after_fail = [case["changes"]["FAIL"] for case in CASES if case["changes"]["FAIL"]]
    assert {(change["value"] is None, change["extends"]) for change in after_fail} == {
        (True, False),
        (False, True),
        (False, False),
    }
