"""Three programs that are not ours derive the keys of keys.json, by libraries that are not ours."""

from __future__ import annotations

import json
import random
import subprocess

import pytest

from tests.vectors import cases
from tests.vectors.known import CASES, FILE, NAMES
from tests.vectors.ours import answer

PROGRAMS = ["python", "node", "go"]
DRAWN = 3_000


def asked(words, file):
    """What a program answers for each case of a file."""
    ended = subprocess.run([*words, file], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(ended.stdout)


@pytest.fixture(scope="session")
def answers(program_words):
    """`answers(program)`: what it told of each case."""
    told = {}

    def of(program):
        if program not in told:
            told[program] = dict(zip(NAMES, asked(program_words(program), FILE), strict=True))
        return told[program]

    return of


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_program_has_the_key_or_refuses(answers, program, case):
    told = answers(program)[case["name"]]
    if "refused" in case:
        assert set(told) == {"refused"}
    else:
        assert told == {"canonical": case["canonical"], "key": case["key"]}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_has_our_key_for_whatever_is_drawn(program_words, tmp_path, program):
    drawn = list(cases._drawn(random.Random(1), DRAWN))
    file = tmp_path / "drawn.json"
    file.write_text(json.dumps({"cases": drawn}), encoding="utf-8")
    for case, told in zip(drawn, asked(program_words(program), file), strict=True):
        assert told["key"] == answer(case)["key"], case
