"""Our canonical bytes are those of the rfc8785 package, on values made to tell the two apart."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faktory_unique.errors import InvalidJob
from tests.fuzz.canonical import BY_DESIGN, Disagreement, compare, ours, run, theirs
from tests.fuzz.values import MAX_INT, UNFIT, Values

# A machine that is busy is no finding.
unhurried = settings(deadline=None)

CI_ROUND = 20_000

canonical_module = importlib.import_module("faktory_unique.locks.canonical_json")
es_number_module = importlib.import_module("faktory_unique.locks.ecma_number")


def test_a_round_from_a_new_seed_finds_no_disagreement():
    seed = time.time_ns()
    # The seed is in the error: `python -m tests.fuzz.canonical COUNT SEED` goes the same way.
    agreed, refused = run(CI_ROUND, seed)
    assert agreed + refused.total() == CI_ROUND
    assert set(refused) == set(UNFIT), f"seed {seed} has not tried all kinds"


def test_the_same_seed_gives_the_same_values():
    def drawn(seed):
        values = Values(seed)
        told = []
        for _ in range(300):
            value = values.draw()
            told.append((ours(value) if values.unfit is None else None, values.unfit))
        return told

    assert drawn(7) == drawn(7) != drawn(8)


def test_run_as_a_program_it_ends_with_the_counts_and_the_seed():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.canonical", "500", "3"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    agreed, refused = run(500, 3)
    assert ended.stdout.splitlines()[-1] == (
        f"fuzz: canonical=500 agreed={agreed} refused={refused.total()} seed=3"
    )


# ---- shrinkable inputs -------------------------------------------------------------------------

# Surrogates, too, and numbers beyond the limits: whether a value is fit is for both to say.
texts = st.text(st.characters(exclude_categories=[]))
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([MAX_INT, -MAX_INT, MAX_INT + 1, -MAX_INT - 1])
    | st.floats()
    | texts
    | st.binary(max_size=2)
)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(texts | st.integers(0, 3), inner)
    ),
    max_leaves=20,
)


@unhurried
@given(anything)
def test_both_write_the_same_bytes_or_both_refuse(value):
    mine, other = ours(value), theirs(value)
    if isinstance(mine, InvalidJob):
        assert isinstance(other, ValueError)
    else:
        assert mine == other


# ---- the fuzzer can fail -----------------------------------------------------------------------

# What is planted, the module, what stands there and what stands there instead.
PLANTED = {
    "keys sorted by code point": (
        canonical_module,
        'units = name.encode("utf-16-be")',
        "units = name",
    ),
    "keys sorted by UTF-8": (
        canonical_module,
        'units = name.encode("utf-16-be")',
        'units = name.encode("utf-8")',
    ),
    "keys sorted by little-endian UTF-16": (canonical_module, "utf-16-be", "utf-16-le"),
    "keys not sorted": (canonical_module, "in sorted(members)", "in members"),
    "keys not sorted the fast way": (canonical_module, "orjson.OPT_SORT_KEYS\n    | ", ""),
    "keys that are not ASCII the fast way": (canonical_module, " or not key.isascii()", ""),
    "a key twice is one": (canonical_module, "if units in members:", "if False:"),
    "a key that is no str is made one": (
        canonical_module,
        'raise _invalid(place, f"object key is {type(key).__name__}, not str", "use str keys")',
        "key = str(key)",
    ),
    "floats by repr": (canonical_module, "ecma_number(number)", "repr(number)"),
    "floats the fast way": (canonical_module, "{str, int, bool", "{float, str, int, bool"),
    "NaN is a number": (canonical_module, "if isfinite(number):", "if abs(number) != 1e999:"),
    "infinity is a number": (
        canonical_module,
        "if isfinite(number):",
        "if number == number:",
    ),
    "2**53 is let through": (canonical_module, "_MAX_INT = 2**53 - 1", "_MAX_INT = 2**53"),
    "2**53-1 is refused": (canonical_module, "<= _MAX_INT", "< _MAX_INT"),
    "big integers the fast way": (canonical_module, "    | orjson.OPT_STRICT_INTEGER\n", ""),
    "surrogates are replaced": (
        canonical_module,
        'raise _invalid(place, "str has a surrogate, which is not Unicode text", advice)',
        "return b'\"?\"'",
    ),
    "a set is a list": (
        canonical_module,
        "if issubclass(kind, (list, tuple)):",
        "if issubclass(kind, (list, tuple, set, frozenset)):",
    ),
    "200 levels are refused": (canonical_module, "_MAX_DEPTH = 200", "_MAX_DEPTH = 199"),
    "201 levels are let through": (canonical_module, "_MAX_DEPTH = 200", "_MAX_DEPTH = 201"),
    "a loop is followed": (canonical_module, "if id(value) in ancestors:", "if False:"),
    "an empty list is nothing": (canonical_module, 'else b"[]")', 'else b"")'),
    "an Enum is refused": (canonical_module, "if issubclass(kind, int):", "if kind is int:"),
    "minus zero keeps its sign": (es_number_module, "if number == 0:", "if str(number) == '0.0':"),
    "1e21 without exponent": (es_number_module, "_MAX_N = -5, 21", "_MAX_N = -5, 22"),
    "1e20 with exponent": (es_number_module, "_MAX_N = -5, 21", "_MAX_N = -5, 20"),
    "1e-7 without exponent": (es_number_module, "_MAX_N = -5, 21", "_MAX_N = -6, 21"),
    "1e-6 with exponent": (es_number_module, "_MAX_N = -5, 21", "_MAX_N = -4, 21"),
    "exponents without plus": (es_number_module, "{n - 1:+d}", "{n - 1}"),
    "exponents of two digits": (es_number_module, "{n - 1:+d}", "{n - 1:+03d}"),
    "a point behind a lone digit": (es_number_module, '"." if k > 1 else ""', '"."'),
    "seventeen digits at any rate": (
        es_number_module,
        "float.__repr__(abs(number))",
        'f"{abs(number):.16e}"',
    ),
}


def planted(module, sound, broken):
    """A copy of the module's code with one thing changed."""
    source = module.__loader__.get_source(module.__name__)
    assert source.count(sound) == 1, f"not there, or not there once: {sound!r}"
    copy = ModuleType(module.__name__)
    copy.__package__ = module.__package__
    exec(compile(source.replace(sound, broken), "<planted>", "exec"), copy.__dict__)
    return copy


def broken_canonicalizer(module, sound, broken):
    copy = planted(module, sound, broken)
    if module is canonical_module:
        return copy.canonical_json
    whole = planted(canonical_module, "import orjson\n", "import orjson\n")
    whole.ecma_number = copy.ecma_number
    return whole.canonical_json


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found_within_a_round(bug):
    # Bytes or a refusal of ours: a copy that crashes would be found for another reason.
    told = r"(?s)value \d+ of seed \d+\ninput: .*\nours: (b['\"]|InvalidJob\().*\ntheirs: "
    with pytest.raises(Disagreement, match=told):
        run(CI_ROUND, time.time_ns(), broken_canonicalizer(*PLANTED[bug]))


def test_a_copy_of_the_code_with_nothing_planted_passes():
    """So that what is found above is the bug, and not the copying."""
    nothing = "if number == 0:"
    run(2_000, time.time_ns(), broken_canonicalizer(es_number_module, nothing, nothing))


def test_a_program_that_finds_a_disagreement_says_so_and_ends_with_1():
    """The table of differences by design tells those apart from bugs: here it is empty."""
    code = (
        "import sys; from tests.fuzz import canonical; canonical.BY_DESIGN.clear();"
        "sys.exit(canonical._main(2000, 1))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout.count("input: ") == ended.stdout.count("theirs: ") == 1
    assert "fuzz: canonical=" not in ended.stdout


@pytest.mark.parametrize("unfit", BY_DESIGN)
def test_where_the_two_differ_by_design_is_a_difference_still(unfit):
    """A row of the table that has come to nothing is a row to be taken out."""
    values = Values(1)
    value = next(value for value in iter(values.draw, values) if values.unfit == unfit)
    assert isinstance(ours(value), InvalidJob)
    assert not isinstance(theirs(value), ValueError)
    with pytest.raises(Disagreement):
        compare(value, None)
