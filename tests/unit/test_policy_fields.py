"""Each field of a policy is the same from code, environment and TOML; a wrong value is named."""

from __future__ import annotations

import json
import os

import pytest
from pydantic import ValidationError

from faktory_unique import InvalidSettings, Policy
from faktory_unique.policy.settings import load_settings

# The field, its value in code, and the same value as JSON and as TOML.
WRITTEN = [
    ("ttl", 5400, '"1h30m"', '"1h30m"'),
    ("ttl", 90.5, "90.5", "90.5"),
    ("until", "start", '"start"', "'start'"),
    ("until", "expiry", '"expiry"', "'expiry'"),
    ("exclusive", True, "true", "true"),
    ("on_conflict", "raise", '"raise"', "'raise'"),
    ("on_conflict", "replace", '"replace"', "'replace'"),
    ("enforce", False, "false", "false"),
    ("renew", False, "false", "false"),
    ("on_death", "keep", '"keep"', "'keep'"),
    ("on_store_error", "push", '"push"', "'push'"),
    ("lease", 120, '"PT2M"', '"PT2M"'),
    ("per_queue", True, "true", "true"),
    ("scope", "mail", '"mail"', "'mail'"),
    ("by", (0, "1.user_id"), '["0", "1.user_id"]', "[0, '1.user_id']"),
]
FIELDS = set(Policy.model_fields)
CODE_ONLY = {"key"}

IMPOSSIBLE = [
    ("ttl", "soon"),
    ("ttl", 0.5),
    ("lease", 0),
    ("lease", None),
    ("until", "death"),
    ("until", None),
    ("exclusive", "perhaps"),
    ("exclusive", None),
    ("on_conflict", "ignore"),
    ("on_conflict", None),
    ("enforce", 2),
    ("enforce", []),
    ("renew", "perhaps"),
    ("on_death", "bury"),
    ("on_store_error", "wait"),
    ("per_queue", "default"),
    ("scope", ""),
    ("scope", 5),
    ("by", "user_id"),
    ("by", ["user_id"]),
    ("key", "args[0]"),
]


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in list(os.environ):
        if name.upper().startswith("FAKTORY_UNIQUE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "faktory.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_the_tables_have_every_field():
    assert {field for field, *_ in WRITTEN} == FIELDS - CODE_ONLY
    assert {field for field, _ in IMPOSSIBLE} == FIELDS


@pytest.mark.parametrize(("field", "value", "as_json", "as_toml"), WRITTEN)
def test_a_policy_is_the_same_from_every_source(monkeypatch, toml, field, value, as_json, as_toml):
    policy = Policy(**{field: value})
    assert policy != Policy()
    monkeypatch.setenv("FAKTORY_UNIQUE_POLICIES", f'{{"A": {{"{field}": {as_json}}}}}')
    monkeypatch.setenv("FAKTORY_UNIQUE_DEFAULT", f'{{"{field}": {as_json}}}')
    path = toml(f"default.{field} = {as_toml}\n[policies.B]\n{field} = {as_toml}\n")
    both = load_settings(config=path)
    assert both.policies == {"A": policy, "B": policy}
    assert both.default == policy
    monkeypatch.delenv("FAKTORY_UNIQUE_DEFAULT")
    assert load_settings(config=path).default == policy
    assert load_settings(default={field: value}).default == policy


def test_a_key_function_is_allowed_only_in_code():
    assert load_settings(policies={"A": Policy(key=len)}).policies["A"].key is len


@pytest.mark.parametrize(("field", "value"), IMPOSSIBLE)
def test_an_impossible_value_in_code_is_named(field, value):
    with pytest.raises(ValidationError) as caught:
        Policy(**{field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


def test_a_scope_has_at_most_512_bytes():
    assert Policy(scope="é" * 256)
    with pytest.raises(ValidationError, match="is not Unicode text of at most 512 bytes"):
        Policy(scope="é" * 256 + "e")


@pytest.mark.parametrize(("field", "value"), IMPOSSIBLE)
def test_an_impossible_value_in_the_environment_is_named(monkeypatch, field, value):
    monkeypatch.setenv("FAKTORY_UNIQUE_POLICIES", json.dumps({"A": {field: value}}))
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert str(caught.value).startswith(f"policies.A.{field}: ")
    assert f"got {value!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("until", "'success', 'start' or 'expiry'"),
        ("on_conflict", "'skip', 'raise' or 'replace'"),
        ("on_death", "'release' or 'keep'"),
        ("on_store_error", "'raise' or 'push'"),
    ],
)
def test_the_message_lists_the_allowed_values(field, message):
    with pytest.raises(ValidationError, match=message):
        Policy(**{field: "other"})
