"""Settings: the same policies in code, environment and TOML, or `InvalidSettings`.

No other error is raised.
"""

from __future__ import annotations

import math
import os

import pytest
from hypothesis import example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from faktory_unique import InvalidSettings, Policy
from faktory_unique._util import visible_text
from faktory_unique.policy.settings import load_settings
from tests.fuzz.settings_places import PLACES, in_code, outcome, variables, writable
from tests.fuzz.settings_strategies import (
    FIELDS,
    fields,
    jobtypes,
    json_policies,
    json_settings,
    nested,
    no_deadline,
    objects,
    odd,
)


@limits(deadline=None, max_examples=300)
@given(settings=json_settings)
@example(settings={"policies": {"A": {"ttl": "90s"}}, "default": {"by": [0]}})
@example(settings={"policies": {"A": {"ttl": math.nan}}})
def test_settings_mean_the_same_in_each_place(folder, settings):
    outcomes = {name: outcome(PLACES[name], folder, settings)[0] for name in writable(settings)}
    assert all(policies == outcomes["code"] for policies in outcomes.values()), outcomes


@pytest.mark.parametrize("place", PLACES)
def test_valid_settings_are_accepted_in_each_place(place, folder):
    """The test above does not only compare refusals."""
    settings = {
        "policies": {"Ä \U0001f389": {"ttl": "1h30m", "by": [0, "1.a"], "scope": '\x00\n"'}},
        "default": {"until": "start", "renew": False, "lease": 90.5, "on_death": "keep"},
    }
    assert place in writable(settings)
    (policies, default), message = outcome(PLACES[place], folder, settings)
    assert message is None
    assert policies == {"Ä \U0001f389": Policy(ttl=5400, by=(0, "1.a"), scope='\x00\n"')}
    assert default == Policy(until="start", renew=False, lease=90.5, on_death="keep")


@pytest.mark.parametrize("place", PLACES)
@no_deadline
@given(policy=json_policies)
@example(policy={"ttl": -1, "until": "later", "tll": None})
def test_error_names_each_invalid_field(place, folder, policy):
    settings = {"policies": {"Job": policy}}
    if place not in writable(settings):
        return
    invalid = [name for name in policy if not _is_valid_alone(name, policy[name])]
    policies, message = outcome(PLACES[place], folder, settings)
    assert (policies is None) == bool(invalid)
    for name in invalid:
        assert f"policies.Job.{visible_text(name)}: " in message


def _is_valid_alone(name, value):
    """Return whether Policy accepts this field: an independent check, without settings."""
    try:
        Policy(**{name: value})
    except ValueError:
        return False
    return True


@no_deadline
@given(
    settings=st.fixed_dictionaries(
        {},
        optional={
            "policies": st.dictionaries(
                jobtypes | st.sampled_from([1, None, b"A", ()]), fields(odd | objects) | objects
            )
            | objects,
            "default": fields(odd | objects) | objects,
        },
    )
)
def test_objects_in_code_are_policies_or_an_error(settings):
    policies, message = outcome(in_code, None, settings)
    assert policies is not None or message.startswith(("policies", "default"))


@pytest.mark.parametrize("name", ["POLICIES", "DEFAULT"])
@no_deadline
@given(text=st.text(st.characters(exclude_categories=["Cs"])) | st.binary().map(os.fsdecode))
@example(text="null")
@example(text="\udcff")
@example(text='{"A": {"ttl": NaN}}')
def test_any_text_in_a_variable_is_settings_or_an_error(name, text):
    with variables(**{name: text.replace("\0", "")}):
        try:
            load_settings()
        except InvalidSettings as exc:
            assert name in str(exc).upper()  # noqa: PT017 - most texts are refused


@no_deadline
@given(
    content=st.binary(max_size=40)
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.lists(
        st.sampled_from(
            [
                b"[",
                b"]",
                b"policies",
                b"default",
                b".",
                b"=",
                b'"',
                b"1",
                b"\n",
                b"store",
                b"A",
                b"{",
                b"}",
                b"2024-01-01",
                b"inf",
                b" ",
                b"ttl",
                b"''",
            ]
        )
    ).map(b"".join)
)
def test_any_bytes_in_a_file_are_settings_or_an_error(folder, content):
    path = folder / "any.toml"
    path.write_bytes(content)
    try:
        load_settings(config=path)
    except InvalidSettings as exc:
        assert str(exc)  # noqa: PT017 - most bytes are refused


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("settings", [{"policies": {"A": {"TTL": 5}}}, {"default": {"TTL": 5}}])
def test_field_in_capitals_is_refused(place, settings, folder):
    _, message = outcome(PLACES[place], folder, settings)
    assert message is not None


# ---- values that are too long or too deep to read or to write --------------------------------


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("field", ["ttl", "lease"])
@pytest.mark.parametrize("sign", [1, -1])
def test_duration_larger_than_any_float_is_refused(place, field, sign, folder):
    _, message = outcome(PLACES[place], folder, {"default": {field: sign * 10**400}})
    assert message.startswith(f"default.{field}: ")


@pytest.mark.parametrize("field", FIELDS)
def test_int_too_long_to_write_is_refused_in_code(field):
    _, message = outcome(in_code, None, {"default": {field: 10**5000}})
    assert message.startswith(f"default.{field}: ")


def test_path_too_long_to_write_is_refused_in_code():
    _, message = outcome(in_code, None, {"default": {"by": [-(10**5000)]}})
    assert message.startswith("default.by: ")


def test_int_too_long_to_read_is_refused_in_the_environment():
    with (
        variables(default='{"ttl": 1' + "0" * 5000 + "}"),
        pytest.raises(InvalidSettings, match=r"^FAKTORY_UNIQUE_DEFAULT: "),
    ):
        load_settings()


def test_int_too_long_to_read_is_refused_in_toml(folder):
    path = folder / "long.toml"
    path.write_text("[default]\nttl = 1" + "0" * 5000)
    with pytest.raises(InvalidSettings, match=r"^config: "):
        load_settings(config=path)


@pytest.mark.parametrize("field", FIELDS)
def test_value_too_deep_to_write_is_refused_in_code(field):
    _, message = outcome(in_code, None, {"default": {field: nested(100_000)}})
    assert message.startswith(f"default.{field}: ")


def test_value_too_deep_to_read_is_refused_in_the_environment():
    with (
        variables(default='{"ttl": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        pytest.raises(InvalidSettings, match=r"^FAKTORY_UNIQUE_DEFAULT: "),
    ):
        load_settings()


def test_value_too_deep_to_read_is_refused_in_toml(folder):
    path = folder / "deep.toml"
    path.write_text("[default]\nttl = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(InvalidSettings, match=r"^config: "):
        load_settings(config=path)


@pytest.mark.parametrize(
    "config",
    [
        "no/such.toml",
        "a\0b",
        "a" * 5000,
        "\ud800",
        ".",
        5,
        b"unique.toml",
        ["unique.toml"],
        {"a": 1},
        True,
    ],
    ids=lambda config: ascii(config)[:20],
)
def test_config_that_is_not_a_file_is_refused(config):
    with pytest.raises(InvalidSettings, match=r"^config: "):
        load_settings(config=config)
