"""A policy accepts each form of a field, names a wrong value, and is found for its jobtype."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from faktory_unique import Policy
from faktory_unique._durations import MAX_SECONDS, parse_duration
from faktory_unique._util import short_repr
from faktory_unique.policy.policies import Policies


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        (" 90 ", 90),
        ("90s", 90),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5H", 5400),
        ("1d", 86_400),
        ("1d2h3m4s", 93_784),
        ("PT1H30M", 5400),
        ("P1DT2H", 93_600),
        ("pt90s", 90),
        (timedelta(minutes=2), 120),
    ],
)
def test_a_duration_may_have_any_form(written, expected):
    assert parse_duration(written) == expected
    assert Policy(ttl=written).ttl == expected


@pytest.mark.parametrize(
    "written",
    ["", " ", "soon", "h", "1x", "30m1h", "-5", "1h-30m", "P", "PT", True, None, [], b"9"],
)
def test_a_wrong_duration_is_named(written):
    with pytest.raises(ValidationError, match="not a duration") as caught:
        Policy(ttl=written)
    assert caught.value.errors()[0]["loc"] == ("ttl",)
    assert repr(written) in str(caught.value)


@given(st.text())
def test_any_other_text_raises_value_error(text):
    try:
        assert parse_duration(text) >= 0 or text.strip().lower().startswith("p")
    except ValueError as exc:
        assert short_repr(text) in str(exc)  # noqa: PT017  # any text may be good or bad


@pytest.mark.parametrize("ttl", [0, 0.5, -1, MAX_SECONDS + 1, float("inf"), float("nan"), "PT-5S"])
def test_an_impossible_ttl_is_named(ttl):
    with pytest.raises(ValidationError) as caught:
        Policy(ttl=ttl)
    assert caught.value.errors()[0]["loc"] == ("ttl",)


@pytest.mark.parametrize("written", [10**400, -(10**400), 10**5000], ids=["400", "-400", "5000"])
def test_an_int_too_large_for_a_float_is_refused(written):
    with pytest.raises(ValidationError, match=r"^1 validation error for Policy\nlease\n"):
        Policy(lease=written)


@pytest.mark.parametrize("written", [{"ttl": "redis://:s3cret@host"}, ["x" * 200]])
def test_a_wrong_value_is_shown_short_and_without_password(written):
    for field in ("ttl", "by"):
        with pytest.raises(ValidationError) as caught:
            Policy(**{field: written})
        (error,) = caught.value.errors()
        assert "s3cret" not in error["msg"]
        assert len(error["msg"]) < 300


def test_a_policy_has_the_documented_defaults():
    assert (Policy().ttl, Policy().lease) == (3600, 60)


def test_a_policy_is_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        Policy().ttl = 5


def test_an_unknown_field_is_named():
    with pytest.raises(ValidationError, match="tll"):
        Policy(tll=5)


@pytest.mark.parametrize(
    ("by", "kept"),
    [
        ([0], (0,)),
        (["0", 1], (0, 1)),
        (("1.user_id",), ("1.user_id",)),
        (["1.a.0.b"], ("1.a.0.b",)),
    ],
)
def test_a_path_has_one_spelling(by, kept):
    assert Policy(by=by).by == kept


@pytest.mark.parametrize(
    "by",
    [
        [],
        [-1],
        ["user_id"],
        [""],
        ["1."],
        ["1..a"],
        ["01"],
        ["01.a"],
        ["٣.a"],
        [True],
        [1.5],
        [None],
        ["²"],
        [2**53],
    ],
)
def test_a_wrong_path_is_named(by):
    with pytest.raises(ValidationError) as caught:
        Policy(by=by)
    assert caught.value.errors()[0]["loc"][0] == "by"


@pytest.mark.parametrize("by", ["0", 0, {0}])
def test_paths_must_be_a_list(by):
    with pytest.raises(ValidationError, match="not a list of paths"):
        Policy(by=by)


def test_by_and_key_exclude_each_other():
    with pytest.raises(ValidationError, match="by and key both select"):
        Policy(by=[0], key=len)


def test_by_and_key_may_be_none():
    assert Policy(by=None).by is None


class TestPolicies:
    A, B, C, D = (Policy(ttl=n) for n in (1, 2, 3, 4))

    @pytest.mark.parametrize(
        ("jobtype", "expected"),
        [
            ("Billing::Invoice", A),
            ("Billing::Other", B),
            ("Billing", D),
            ("Email7", C),
            ("Email", D),
            ("email7", D),
            ("Weird[1]*", A),
        ],
    )
    def test_the_exact_name_wins_then_a_glob_then_the_default(self, jobtype, expected):
        policies = Policies(
            {
                "Billing::*": self.B,
                "Billing::Invoice": self.A,
                "Email?": self.C,
                "*::Other": self.A,
                "Weird[1]*": self.A,
            },
            self.D,
        )
        assert policies.for_jobtype(jobtype) is expected

    @pytest.mark.parametrize(
        ("globs", "best"),
        [
            (["*", "R*", "Rep*"], "Rep*"),
            (["Rep*", "R*", "*"], "Rep*"),
            (["*epo", "Rep[aeiou]*"], "*epo"),
            (["[QRST]*", "*o"], "*o"),
            (["R*", "*o"], "R*"),
        ],
    )
    def test_the_glob_with_most_literal_characters_wins(self, globs, best):
        policies = {glob: Policy(ttl=n + 1) for n, glob in enumerate(globs)}
        assert Policies(policies).for_jobtype("Repo") is policies[best]

    def test_without_a_default_other_jobtypes_are_not_unique(self):
        assert Policies({"Email": self.A}).for_jobtype("Other") is None
