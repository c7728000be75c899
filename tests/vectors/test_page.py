"""docs/key-format.md prints the tested programs, and its facts are right."""

from __future__ import annotations

import re

import pytest

from faktory_unique import Policy
from faktory_unique.locks.keys import lock_key
from faktory_unique.stores.redis_scripts import COMPARE_AND_SET
from tests.vectors import life
from tests.vectors.known import CASES, HERE

PAGE = (HERE.parents[1] / "docs" / "key-format.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("language", "file"), [("js", "node/lock.mjs"), ("go", "go/unique/lock.go")]
)
def test_page_prints_the_program_that_is_tested(language, file):
    assert blocks(language) == [(HERE / file).read_text(encoding="utf-8")]


def test_page_prints_the_script_of_the_library():
    assert blocks("lua") == [COMPARE_AND_SET.text.decode()]


def test_page_has_the_right_key_in_its_example():
    key = lock_key(Policy(), {"jobtype": "Email", "args": [42, "welcome"]})
    assert f'    {{"args":[42,"welcome"],"jobtype":"Email"}}\n    {key}\n' in PAGE


def test_page_counts_the_cases():
    assert f"has {len(CASES)} cases" in PAGE
    assert f"for each of {len(list(life.cases()))} jobs" in PAGE


def test_links_of_the_page_lead_to_files():
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE):
        assert (HERE.parents[1] / "docs" / target).is_file(), target
