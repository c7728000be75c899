"""docs/key-format.md shows what is tested, and says what is so."""

from __future__ import annotations

import re

import pytest

from faktory_unique import Policy
from faktory_unique.locks.keys import lock_key
from faktory_unique.stores.redis_scripts import CHANGE
from tests.vectors import life
from tests.vectors.known import CASES, HERE

PAGE = (HERE.parents[1] / "docs" / "key-format.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("language", "file"), [("js", "node/lock.mjs"), ("go", "go/unique/lock.go")]
)
def test_a_program_stands_there_as_it_is_tested(language, file):
    assert blocks(language) == [(HERE / file).read_text(encoding="utf-8")]


def test_its_script_is_that_of_the_library():
    assert blocks("lua") == [CHANGE.text.decode()]


def test_its_example_has_the_key_that_it_shows():
    key = lock_key(Policy(), {"jobtype": "Email", "args": [42, "welcome"]})
    assert f'    {{"args":[42,"welcome"],"jobtype":"Email"}}\n    {key}\n' in PAGE


def test_it_counts_the_cases():
    assert f"has {len(CASES)} cases" in PAGE
    assert f"for each of {len(list(life.cases()))} jobs" in PAGE


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE):
        assert (HERE.parents[1] / "docs" / target).is_file(), target
