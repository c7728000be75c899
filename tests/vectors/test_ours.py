"""keys.json is complete and unchanged, and the library derives its keys."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from itertools import islice

import pytest

from faktory_unique import InvalidJob, Policy
from faktory_unique.locks.keys import lock_key
from tests.vectors import cases, tables
from tests.vectors.known import CASES, NAMES
from tests.vectors.ours import answer


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_library_returns_the_key_or_refuses(case):
    actual = answer(case)
    if "refused" in case:
        assert actual["refused"]
    else:
        assert actual == {"key": case["key"]}


def test_cases_are_never_changed():
    """A changed case is another case: it gets a new name, and the old one stays."""
    by_name = dict(zip(NAMES, CASES, strict=True))
    for case in cases.cases():
        assert {**by_name[case["name"]], **case} == by_name[case["name"]]


def test_cases_are_distinct_and_numerous():
    assert len(set(NAMES)) == len(NAMES) >= 200
    kinds = defaultdict(int)
    for name in NAMES:
        kinds[name.partition("/")[0]] += 1
    assert {kind for kind, number in kinds.items() if number < 4} == {"all"}
    assert kinds["number"] > 60
    assert kinds["refused"] > 40


def test_canonical_texts_and_keys_correspond_one_to_one():
    keys, texts = defaultdict(set), defaultdict(set)
    for case in CASES:
        if "key" in case:
            # The name is part of the key, beside the digest.
            keys[case["canonical"]].add(case["key"])
            texts[case["key"]].add(case["canonical"])
    assert all(len(of_one) == 1 for of_one in (*keys.values(), *texts.values()))
    assert len(keys) >= 200


@pytest.mark.parametrize("spellings", tables.SPELLINGS, ids=lambda spellings: spellings[0])
def test_spellings_of_a_number_have_one_key(spellings):
    names = {f"number/written {spelling}" for spelling in spellings}
    keys = [case["key"] for case in CASES if case["name"] in names]
    assert len(keys) == len(spellings)
    assert len(set(keys)) == 1


def test_order_of_members_does_not_count():
    by_name = dict(zip(NAMES, CASES, strict=True))
    for name in tables.KEYS:
        one, other = by_name[f"keys/{name}"], by_name[f"keys/{name}, backwards"]
        assert one["args"] != other["args"]
        assert one["key"] != other["key"]  # the values are numbered in the order of writing
        paired = json.loads(one["args"])[0]
        turned = [dict(reversed(paired.items()))]
        job = {"jobtype": one["jobtype"], "args": turned}
        assert lock_key(Policy(), job) == one["key"]


def test_jobtype_with_a_surrogate_is_refused():
    """The case is not in the file: not every language could read that JSON."""
    with pytest.raises(InvalidJob, match="jobtype: str has a surrogate"):
        lock_key(Policy(), {"jobtype": "\ud800", "args": []})


def test_random_cases_are_the_same_everywhere():
    """They depend on the seed alone; otherwise the file could not be checked against `cases`."""
    one, other = (list(islice(cases._drawn(random.Random(7), 9), 9)) for _ in range(2))
    assert one == other
