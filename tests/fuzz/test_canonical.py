"""Canonical JSON: our bytes equal those of the rfc8785 package; planted bugs are found."""

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
from tests.fuzz.values import INVALID, MAX_INT, Values
from tests.patience import PATIENCE

# A busy machine must not fail a test.
no_deadline = settings(deadline=None)

CI_ROUND = 20_000

CANONICAL = importlib.import_module("faktory_unique.locks.canonical_json")
ECMA_NUMBER = importlib.import_module("faktory_unique.locks.ecma_number")


def test_round_from_a_new_seed_finds_no_disagreement():
    seed = time.time_ns()
    # The error has the seed: `python -m tests.fuzz.canonical COUNT SEED` runs the same values.
    agreed, refused = run(CI_ROUND, seed)
    assert agreed + refused.total() == CI_ROUND
    assert set(refused) == set(INVALID), f"seed {seed} has not tried all kinds"


def test_same_seed_gives_the_same_values():
    def drawn(seed):
        values = Values(seed)
        results = []
        for _ in range(300):
            value = values.draw()
            written = ours(value) if values.invalid is None else None
            results.append((written, values.invalid))
        return results

    assert drawn(7) == drawn(7) != drawn(8)


def test_program_prints_the_counts_and_the_seed():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.canonical", "500", "3"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    agreed, refused = run(500, 3)
    assert ended.stdout.splitlines()[-1] == (
        f"fuzz: canonical=500 agreed={agreed} refused={refused.total()} seed=3"
    )


# ---- shrinkable inputs -------------------------------------------------------------------------

# Also surrogates and numbers beyond the limits: both decide whether a value is valid.
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


@no_deadline
@given(anything)
def test_both_write_the_same_bytes_or_refuse(value):
    mine, other = ours(value), theirs(value)
    if isinstance(mine, InvalidJob):
        assert isinstance(other, ValueError)
    else:
        assert mine == other


# ---- the fuzzer can fail -----------------------------------------------------------------------

# The planted bug: the module, the correct code, and the wrong code instead.
PLANTED = {
    "keys sorted by code point": (
        CANONICAL,
        'units = name.encode("utf-16-be")',
        "units = name",
    ),
    "keys sorted by UTF-8": (
        CANONICAL,
        'units = name.encode("utf-16-be")',
        'units = name.encode("utf-8")',
    ),
    "keys sorted by little-endian UTF-16": (CANONICAL, "utf-16-be", "utf-16-le"),
    "keys not sorted": (CANONICAL, "in sorted(members)", "in members"),
    "keys not sorted the fast way": (CANONICAL, "orjson.OPT_SORT_KEYS\n    | ", ""),
    "keys that are not ASCII the fast way": (CANONICAL, " or not key.isascii()", ""),
    "a key twice is one": (CANONICAL, "if units in members:", "if False:"),
    "a key that is no str is made one": (
        CANONICAL,
        'raise _invalid(place, f"object key is {type(key).__name__}, not str", "use str keys")',
        "key = str(key)",
    ),
    "floats by repr": (CANONICAL, "ecma_number(number)", "repr(number)"),
    "floats the fast way": (CANONICAL, "{str, int, bool", "{float, str, int, bool"),
    "NaN is a number": (CANONICAL, "if isfinite(number):", "if abs(number) != 1e999:"),
    "infinity is a number": (
        CANONICAL,
        "if isfinite(number):",
        "if number == number:",
    ),
    "2**53 is let through": (CANONICAL, "_MAX_INT = 2**53 - 1", "_MAX_INT = 2**53"),
    "2**53-1 is refused": (CANONICAL, "<= _MAX_INT", "< _MAX_INT"),
    "big integers the fast way": (CANONICAL, "    | orjson.OPT_STRICT_INTEGER\n", ""),
    "surrogates are replaced": (
        CANONICAL,
        'raise _invalid(place, "str has a surrogate, which is not Unicode text", advice)',
        "return b'\"?\"'",
    ),
    "a set is a list": (
        CANONICAL,
        "if issubclass(kind, (list, tuple)):",
        "if issubclass(kind, (list, tuple, set, frozenset)):",
    ),
    "200 levels are refused": (CANONICAL, "_MAX_DEPTH = 200", "_MAX_DEPTH = 199"),
    "201 levels are let through": (CANONICAL, "_MAX_DEPTH = 200", "_MAX_DEPTH = 201"),
    "a loop is followed": (CANONICAL, "if id(value) in ancestors:", "if False:"),
    "an empty list is nothing": (CANONICAL, 'else b"[]")', 'else b"")'),
    "an Enum is refused": (CANONICAL, "if issubclass(kind, int):", "if kind is int:"),
    "minus zero keeps its sign": (
        ECMA_NUMBER,
        "if number == 0:",
        "if str(number) == '0.0':",
    ),
    "1e21 without exponent": (ECMA_NUMBER, "_MAX_N = -5, 21", "_MAX_N = -5, 22"),
    "1e20 with exponent": (ECMA_NUMBER, "_MAX_N = -5, 21", "_MAX_N = -5, 20"),
    "1e-7 without exponent": (ECMA_NUMBER, "_MAX_N = -5, 21", "_MAX_N = -6, 21"),
    "1e-6 with exponent": (ECMA_NUMBER, "_MAX_N = -5, 21", "_MAX_N = -4, 21"),
    "exponents without plus": (ECMA_NUMBER, "{n - 1:+d}", "{n - 1}"),
    "exponents of two digits": (ECMA_NUMBER, "{n - 1:+d}", "{n - 1:+03d}"),
    "a point behind a lone digit": (ECMA_NUMBER, '"." if k > 1 else ""', '"."'),
    "seventeen digits at any rate": (
        ECMA_NUMBER,
        "float.__repr__(abs(number))",
        'f"{abs(number):.16e}"',
    ),
}


def mutated_module(module, correct, wrong):
    """Return a copy of a module with one piece of its code replaced."""
    source = module.__loader__.get_source(module.__name__)
    assert source.count(correct) == 1, f"not in the source exactly once: {correct!r}"
    copy = ModuleType(module.__name__)
    copy.__package__ = module.__package__
    exec(compile(source.replace(correct, wrong), "<planted>", "exec"), copy.__dict__)
    return copy


def mutated_canonicalizer(module, correct, wrong):
    """Return a `canonical` that uses a module with one piece of its code replaced."""
    copy = mutated_module(module, correct, wrong)
    if module is CANONICAL:
        return copy.canonical_json
    whole = mutated_module(CANONICAL, "import orjson\n", "import orjson\n")
    whole.ecma_number = copy.ecma_number
    return whole.canonical_json


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bug_is_found_within_a_round(bug):
    # Ours must write bytes or refuse: a copy that crashes would be found for another reason.
    message = r"(?s)value \d+ of seed \d+\ninput: .*\nours: (b['\"]|InvalidJob\().*\ntheirs: "
    with pytest.raises(Disagreement, match=message):
        run(CI_ROUND, time.time_ns(), mutated_canonicalizer(*PLANTED[bug]))


def test_copy_without_a_planted_bug_passes():
    """The test above finds the bug, and not an effect of the copy."""
    unchanged = "if number == 0:"
    run(2_000, time.time_ns(), mutated_canonicalizer(ECMA_NUMBER, unchanged, unchanged))


def test_program_exits_with_1_on_a_disagreement():
    """Without its table, the differences by design are disagreements."""
    code = (
        "import sys; from tests.fuzz import canonical; canonical.BY_DESIGN.clear();"
        "sys.exit(canonical._main(2000, 1))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout.count("input: ") == ended.stdout.count("theirs: ") == 1
    assert "fuzz: canonical=" not in ended.stdout


@pytest.mark.parametrize("invalid", BY_DESIGN)
def test_difference_by_design_still_exists(invalid):
    """A row of the table without a difference must be removed."""
    values = Values(1)
    value = next(value for value in iter(values.draw, values) if values.invalid == invalid)
    assert isinstance(ours(value), InvalidJob)
    assert not isinstance(theirs(value), ValueError)
    with pytest.raises(Disagreement):
        compare(value, None)
