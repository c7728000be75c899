"""Hypothesis strategies of settings: valid and odd values of each field, and objects in code."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import settings as limits
from hypothesis import strategies as st

from faktory_unique import Policy

# A busy machine must not fail a test.
no_deadline = limits(deadline=None)

FIELDS = list(Policy.model_fields)

# Larger than any float, with fewer digits than Python refuses to read and to write.
BIGGEST_INT = 10**400


def nested(levels):
    value = 0
    for _ in range(levels):
        value = [value]
    return value


def is_same_in_json(text):
    """Return whether JSON keeps the text: it joins a high and a low surrogate to one character."""
    return json.loads(json.dumps(text)) == text


texts = st.text(max_size=8) | st.text(st.characters(categories=["Cs", "Nd", "Cc"]), max_size=3)
texts = texts.filter(is_same_in_json)
json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10)
    | st.sampled_from([2**31, 2**53, 2**63, 2**64, BIGGEST_INT, -BIGGEST_INT])
    | st.floats()
    | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, 0.999, 315_360_000.5, 5e-324])
    | texts
)
durations = st.sampled_from(
    [
        "90",
        "90s",
        "1h30m",
        "PT1H30M",
        " 5 m ",
        "0s",
        "-5s",
        "1e3",
        "\u0663s",
        "1" * 400,
        "9" * 5000,
        "P",
        "PT",
        "P1Y2M",
        "PT-5S",
        "P9999999999999D",
        "P1W",
        "1h 30m",
        "30m1h",
        "1.5.5s",
        "inf",
    ]
)
paths = st.sampled_from(
    [0, 1, "0", "00", "1.a", "1..a", "1.", ".a", "-1", -1, "a", "\u0660", "0.\n"]
)
valid = {
    "ttl": st.integers(1, 10**8) | durations,
    "lease": st.integers(1, 10**8) | durations,
    "until": st.sampled_from(["success", "start", "expiry", "Success", " start"]),
    "renew": st.sampled_from([True, False, 0, 1, 0.0, 1.0, "on", "off", "yes", "nO", "t", 2, ""]),
    "exclusive": st.sampled_from([True, False, 0, 1, "on", "off", 2, ""]),
    "enforce": st.sampled_from([True, False, "n", "Yes", 0.5]),
    "on_conflict": st.sampled_from(["skip", "raise", "replace", "replaced", " skip"]),
    "per_queue": st.sampled_from([True, False, 0, 1, "true", "FALSE", "1", " 1"]),
    "on_death": st.sampled_from(["release", "keep"]),
    "on_store_error": st.sampled_from(["raise", "push"]),
    "scope": st.text(min_size=1, max_size=5),
    "by": st.lists(paths, max_size=3) | paths,
    "key": st.sampled_from(["len", None]),
}
assert set(valid) == set(FIELDS)

odd = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
# Unknown names. pydantic refuses surrogates with a message of its own.
wrong_names = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    | st.sampled_from(["tll", "ttl ", "TTL", "policies", "model_config", "__class__", "self"])
).filter(lambda name: name not in FIELDS)


def fields(values):
    """Return mappings of a few fields, each with a valid value or one of these."""
    known = st.sampled_from(FIELDS).flatmap(
        lambda name: st.tuples(st.just(name), valid[name] | values)
    )
    unknown = st.tuples(wrong_names, values)
    return st.lists(known | known | known | unknown, max_size=4).map(dict)


json_policies = fields(odd)
jobtypes = st.text(max_size=5).filter(is_same_in_json) | st.sampled_from(
    ["A", "*", "[", "a.b", "Billing::Invoice"]
)
json_settings = st.fixed_dictionaries(
    {},
    optional={
        "policies": st.dictionaries(jobtypes, json_policies | odd, max_size=2) | odd,
        "default": json_policies | odd,
    },
)

# Values that only code can have.
objects = st.sampled_from(
    [
        b"",
        b"1",
        bytearray(b"1"),
        {1},
        frozenset(),
        (),
        (0,),
        (0, "1.a"),
        range(2),
        object(),
        ...,
        Decimal(90),
        Decimal("nan"),
        Fraction(90),
        1j,
        len,
        Policy,
        Policy(),
        type,
        lambda: None,
        timedelta(hours=1),
        timedelta(0),
        -timedelta(1),
        timedelta.max,
        timedelta.min,
        datetime(2024, 2, 29, tzinfo=UTC),
        date(1, 1, 1),
        time(12),
        {1: 2},
        {None: 3},
        {b"ttl": 4},
        {"ttl": {1}},
        {(): ()},
        {"\ud800": 1},
        10**5000,
        nested(100_000),
        {10**5000: 1},
    ]
)
