"""Three independent programs derive the keys of keys.json, with independent libraries."""

from __future__ import annotations

import json
import random
import subprocess

import pytest

from tests.patience import PATIENCE
from tests.vectors import cases
from tests.vectors.known import CASES, FILE, NAMES
from tests.vectors.ours import answer

PROGRAMS = ["python", "node", "go"]
DRAWN = 3_000


def answers_of(words, file):
    """Run a program on a file. Return its answer for each case."""
    ended = subprocess.run(
        [*words, file], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return json.loads(ended.stdout)


@pytest.fixture(scope="session")
def answers(program_words):
    """`answers(program)` maps the name of each case to the answer of the program."""
    known = {}

    def of(program):
        if program not in known:
            by_name = zip(NAMES, answers_of(program_words(program), FILE), strict=True)
            known[program] = dict(by_name)
        return known[program]

    return of


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_program_returns_the_key_or_refuses(answers, program, case):
    actual = answers(program)[case["name"]]
    if "refused" in case:
        assert set(actual) == {"refused"}
    else:
        assert actual == {"canonical": case["canonical"], "key": case["key"]}


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_returns_our_key_for_random_jobs(program_words, tmp_path, program):
    drawn = list(cases._drawn(random.Random(1), DRAWN))
    file = tmp_path / "drawn.json"
    file.write_text(json.dumps({"cases": drawn}), encoding="utf-8")
    for case, actual in zip(drawn, answers_of(program_words(program), file), strict=True):
        assert actual["key"] == answer(case)["key"], case
