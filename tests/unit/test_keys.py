"""The key of a lock is made from jobtype and args as docs/design.md §6 specifies."""

from __future__ import annotations

import base64
import hashlib
import math
from datetime import UTC, datetime

import pytest
import rfc8785

from faktory_unique import InvalidJob, Policy
from faktory_unique.locks.keys import (
    is_side_key,
    key_of_run_lock,
    key_prefix,
    lock_key,
    name_in_key,
    run_key,
    side_key_prefix,
    tombstone_key,
)


def job(*args, jobtype="Email", queue="default"):
    return {"jobtype": jobtype, "args": list(args), "queue": queue}


def expected(name, value):
    digest = hashlib.sha256(rfc8785.dumps(value)).digest()[:16]
    return f"unique:1:{name}:{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


ARGS = [42, {"user_id": 7, "tags": ["a", 1.5]}]


@pytest.mark.parametrize(
    ("policy", "value", "name"),
    [
        (Policy(), {"args": ARGS, "jobtype": "Email"}, "Email"),
        (Policy(per_queue=True), {"args": ARGS, "jobtype": "Email", "queue": "default"}, "Email"),
        (Policy(scope="mail"), {"args": ARGS, "jobtype": "mail"}, "mail"),
        (Policy(by=[0]), {"args": [42], "by": [0], "jobtype": "Email"}, "Email"),
        (
            Policy(by=["1.user_id", "1.tags.1", 0], per_queue=True, scope="s"),
            {
                "args": [7, 1.5, 42],
                "by": ["1.user_id", "1.tags.1", 0],
                "jobtype": "s",
                "queue": "default",
            },
            "s",
        ),
        (
            Policy(key=lambda args: args[1]["tags"]),
            {"jobtype": "Email", "key": ["a", 1.5]},
            "Email",
        ),
        (Policy(key=lambda _args: None), {"jobtype": "Email", "key": None}, "Email"),
    ],
)
def test_a_key_has_the_specified_digest(policy, value, name):
    """The expected digest is computed with the independent package rfc8785."""
    assert lock_key(policy, job(*ARGS)) == expected(name, value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (job(1), job(1.0)),
        (job((1, 2)), job([1, 2])),
        (job({"a": 1, "b": 2}), job({"b": 2, "a": 1})),
        (job(1, queue="default"), job(1, queue="other")),
    ],
)
def test_equal_work_has_one_key(one, other):
    assert lock_key(Policy(), one) == lock_key(Policy(), other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (job(1), job(True)),
        (job(1), job("1")),
        (job(None), job()),
        (job([1], 2), job(1, [2])),
        (job(1), job(1, jobtype="email")),
        (job(1, jobtype="a:b"), job(1, jobtype="a")),
    ],
)
def test_other_work_has_another_key(one, other):
    assert lock_key(Policy(), one) != lock_key(Policy(), other)


def test_the_queue_counts_if_the_policy_is_per_queue():
    policy = Policy(per_queue=True)
    assert lock_key(policy, job(1)) != lock_key(policy, job(1, queue="other"))


@pytest.mark.parametrize("queue", ["", None])
def test_no_queue_is_the_default_queue(queue):
    policy = Policy(per_queue=True)
    assert lock_key(policy, job(1, queue=queue)) == lock_key(policy, job(1))


def test_a_scope_gives_several_jobtypes_one_key():
    policy = Policy(scope="mail")
    assert lock_key(policy, job(1)) == lock_key(policy, job(1, jobtype="Other"))


def test_braces_in_a_name_are_escaped():
    """So that a Redis Cluster puts the side keys into the slot of the lock."""
    assert lock_key(Policy(), job(jobtype="a{b}%c")).startswith("unique:1:a%7Bb%7D%25c:")


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ([2], "args: has no '2', which `by` 2 selects"),
        (["1.name"], "args[1]: has no 'name', which `by` '1.name' selects"),
        (["1.tags.2"], "args[1].tags: has no '2', which `by` '1.tags.2' selects"),
        (["0.x"], "args[0]: has no 'x', which `by` '0.x' selects"),
        # A position has one spelling: another one would be another key.
        (["1.tags.01"], "args[1].tags: has no '01', which `by` '1.tags.01' selects"),
        (["1.tags.\u0660"], "args[1].tags: has no '\u0660', which `by`"),
        ([f"1.tags.{'9' * 5000}"], "args[1].tags: has no '9999"),
    ],
)
def test_a_path_that_selects_nothing_is_named(by, message):
    with pytest.raises(InvalidJob) as caught:
        lock_key(Policy(by=by), job(*ARGS))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("policy", [Policy(by=[0]), Policy(key=lambda args: args[0])])
def test_an_argument_that_is_not_selected_is_checked_too(policy):
    with pytest.raises(InvalidJob, match=r"args\[1\]: datetime is not JSON"):
        lock_key(policy, job(1, datetime.now(UTC)))


def test_a_key_function_must_return_json():
    with pytest.raises(InvalidJob, match=r"key: set is not JSON"):
        lock_key(Policy(key=set), job(1))


def test_a_key_function_that_raises_refuses_the_job():
    with pytest.raises(InvalidJob, match=r"key: the policy's function raised IndexError"):
        lock_key(Policy(key=lambda args: args[5]), job(1))


NAMES = ["Email", "Billing::Invoice", "a:b:", ":", "{Email}", "%7B", "a%{b}%25", "*?[x]\\", "Grüße"]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_contains_its_name(name):
    key = lock_key(Policy(), job(1, jobtype=name))
    assert name_in_key(key) == name
    assert key.startswith(key_prefix(name))
    assert key.startswith(key_prefix(None))
    assert lock_key(Policy(scope=name), job(1)).startswith(key_prefix(name))


def test_the_prefix_of_a_name_can_match_a_longer_name():
    """So a search by prefix must also compare the names."""
    key = lock_key(Policy(), job(1, jobtype="Billing::Invoice"))
    assert key.startswith(key_prefix("Billing"))
    assert not key.startswith(key_prefix("Bill"))
    assert name_in_key(key) != "Billing"


@pytest.mark.parametrize(
    "key",
    ["", "Email:abc", "unique:2:Email:abc", "unique:1:", "unique:1:abc", "unique:1::abc"],
)
def test_another_key_has_no_name(key):
    assert name_in_key(key) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_side_key_has_the_whole_key_in_braces(name):
    """The first pair of braces decides the slot in a Redis Cluster, so both keys share it."""
    key = lock_key(Policy(), job(1, jobtype=name))
    for side_key in (tombstone_key(key, "jid-00000001"), run_key(key)):
        assert side_key.startswith(f"{{{key}}}:")
        assert side_key[1 : side_key.index("}")] == key
        assert is_side_key(side_key)
        assert name_in_key(side_key) is None
        assert not side_key.startswith(key_prefix(None))
    assert not is_side_key(key)


def test_side_keys_are_spelled_as_specified():
    assert tombstone_key("unique:1:A:x", "jid-1") == "{unique:1:A:x}:gone:jid-1"
    assert run_key("unique:1:A:x") == "{unique:1:A:x}:run"


def test_value_of_the_key_function_that_is_not_json_is_named():
    with pytest.raises(InvalidJob, match=r"^key: nan is not JSON"):
        lock_key(Policy(key=lambda _args: math.nan), job(1))


def test_queue_that_is_not_unicode_is_named():
    with pytest.raises(InvalidJob, match=r"^queue: "):
        lock_key(Policy(per_queue=True), job(1, queue="\ud800"))


def test_run_lock_names_the_lock_that_it_belongs_to():
    assert key_of_run_lock(run_key("unique:1:A:x")) == "unique:1:A:x"
    assert run_key("unique:1:A:x").startswith(side_key_prefix("A"))
    assert not run_key("unique:1:B:x").startswith(side_key_prefix("A"))
    for other in ("unique:1:A:x", "{other:1:A:x}:run", "{unique:1:A:x}:gone:run", "{x}:run"):
        assert key_of_run_lock(other) is None
