"""life.json: what a worker does to a lock, for those who write one; one follows the page."""

from __future__ import annotations

import json
import subprocess

import pytest

from faktory_unique.locks.stamp import read_stamp
from tests.vectors import life

CASES = json.loads(life.FILE.read_text(encoding="utf-8"))["cases"]
NAMES = [case["name"] for case in CASES]


def test_the_library_does_what_stands_there():
    assert list(life.cases()) == CASES


@pytest.fixture(scope="module")
def changes_by_node(node):
    words = [*node, "life", life.FILE]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return dict(zip(NAMES, json.loads(ended.stdout), strict=True))


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_worker_that_follows_the_page_does_it_too(changes_by_node, case):
    assert changes_by_node[case["name"]] == case["changes"]


def test_go_can_read_the_stamps_that_the_library_can(go):
    ended = subprocess.run(
        [*go, "stamps", life.FILE], capture_output=True, text=True, timeout=60, check=True
    )
    can = [read_stamp(case["job"]) is not None for case in CASES]
    assert dict(zip(NAMES, json.loads(ended.stdout), strict=True)) == dict(
        zip(NAMES, can, strict=True)
    )
    assert len(set(can)) == 2


def test_there_are_changes_of_every_kind():
    """Each step changes something somewhere, and leaves something alone."""
    for step in life.STEPS:
        changed = [case["changes"][step] is not None for case in CASES]
        assert any(changed), step
        assert not all(changed), step
    frees = [case["changes"]["FAIL"] for case in CASES if case["changes"]["FAIL"]]
    assert {(change["value"] is None, change["extends"]) for change in frees} == {
        (True, False),
        (False, True),
        (False, False),
    }
