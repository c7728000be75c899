"""Each operator changes what it names, and texts for people are left alone."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.mutate import enumerations, mutants, sample

CHANGES = {
    "a < b": ["a <= b", "a >= b"],
    "a == b": ["a != b"],
    "time.monotonic() < b": ["time.monotonic() >= b"],
    "a is None": ["a is not None"],
    "a + b": ["a - b", "a"],
    "time() - elapsed()": ["time() + elapsed()", "time()"],
    "a | b": ["a & b", "a", "b"],
    "a and b": ["a or b", "a", "b"],
    "not a": ["a"],
    "x = 5": ["x = 6", "x = 4"],
    "x = True": ["x = False"],
    "x = 'jid'": ["x = 'XXjid'"],
    "x = f'{a}:'": ["x = f'{a}XX:'"],
    "min(a, b)": ["pass", "max(a, b)", "a", "b"],
    "tokens.pop(a, None)": ["pass", "tokens.get(a, None)"],
    "tokens.pop(a)": ["pass", "tokens[a]"],
    "x = int(a)": ["x = a"],
    "x = (a, b)": ["x = (b,)", "x = (a,)"],
    "x = {a, b}": ["x = {b}", "x = {a}"],
    "self.x = a": ["pass"],
    "x += a": ["pass", "x -= a"],
    "del x[a]": ["pass"],
    "raise Stop from a": ["pass"],
    "def f():\n return a": ["def f():\n return None"],
    "def f(x=False):\n return True": [
        "def f(x=True):\n return True",
        "def f(x=False):\n return False",
    ],
    "for a in b:\n break": ["for a in b:\n continue"],
    "while a:\n continue": ["while a:\n break", "while not a:\n continue"],
    "x = a if b else c": ["x = a if not b else c"],
    "x = [a for a in b if c]": ["x = [a for a in b if not c]"],
    "try: a\nexcept BaseException: b": [
        "try: a\nexcept (): b",
        "try: a\nexcept Exception: b",
    ],
    "try: a\nexcept OSError: b": ["try: a\nexcept (): b", "try: a\nexcept Exception: b"],
    "with suppress(OSError): a": ["with suppress(): a"],
    "x = Act.HOLD": ["x = Act.LEAVE"],
}

UNCHANGED = [
    "'''A docstring.'''",
    "x: Literal['a'] = a",
    "def f(x: 'int | None') -> 'bool': a",
    "if TYPE_CHECKING:\n x = 1",
    "Name: TypeAlias = 'int | str'",
    "__all__ = ['a']",
    "class A:\n __slots__ = ('a',)",
    "class Act(Enum):\n HOLD = 'hold'",
    "log.warning('failed: jid=%s', a)",
    "x = 'a text for people'",
    "x = f'{a} jobs'",
    "x = cast('int', a)",
    "@cache(maxsize=5)\ndef f(): a",
]

ENUMS = enumerations(["class Act(Enum):\n LEAVE = 1\n HOLD = 2"])


def changed(source):
    found = [mutant.source for mutant in mutants("a.py", source, ENUMS) if mutant.is_changed()]
    return sorted(ast.unparse(ast.parse(text)) for text in found)


@pytest.mark.parametrize("source", CHANGES)
def test_code_is_changed_in_each_way(source):
    assert changed(source) == sorted(ast.unparse(ast.parse(text)) for text in CHANGES[source])


@pytest.mark.parametrize("source", UNCHANGED)
def test_text_or_type_is_left_alone(source):
    assert changed(source) == []


def test_change_leaves_all_other_text_as_it_is():
    source = "x = 'é'  # a comment\ny  =  a+b  # another\n"
    [_, minus, left] = mutants("a.py", source)
    assert minus.source == "x = 'é'  # a comment\ny  =  (a - b)  # another\n"
    assert left.line == 2
    assert "-y  =  a+b  # another\n+y  =  a  # another\n" in left.diff()


def test_sample_follows_from_its_seed():
    sources = {"a.py": "x = 1 + 2 + 3", "b.py": "y = 4 < 5"}
    assert sample(sources, 5, seed=1) == sample(sources, 5, seed=1) != sample(sources, 5, seed=2)
    assert len(set(sample(sources, 1_000, seed=1))) > 5
