"""The stamp: written at the push, read by the worker."""

from __future__ import annotations

import pytest

from faktory_unique import InvalidJob
from faktory_unique.locks.stamp import (
    VERSION,
    Stamp,
    read_stamp,
    refuse_reserved_name,
    unsupported_stamp,
    without_stamp,
)

STAMP = Stamp(
    key="unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw", owner="jid-00000001", until="success", ttl=600.0
)


@pytest.mark.parametrize("custom", [None, {}, {"mine": 1}, {"unique": "old"}])
def test_stamp_is_read_as_written_and_custom_is_preserved(custom):
    job = {"jid": "j", "custom": custom}
    stamped = STAMP.stamped_copy(job)
    assert read_stamp(stamped) == STAMP
    assert {n: v for n, v in stamped["custom"].items() if n != "unique"} == {
        n: v for n, v in (custom or {}).items() if n != "unique"
    }
    assert job == {"jid": "j", "custom": custom}


@pytest.mark.parametrize(
    "custom",
    [
        None,
        "text",
        {},
        {"unique": None},
        {"unique": "text"},
        {"unique": {}},
        {"unique": {"v": 3, "key": "k", "owner": "o", "until": "success", "ttl": 1}},
        {"unique": {"v": 1, "key": 5, "owner": "o", "until": "success", "ttl": 1}},
        {"unique": {"v": 1, "key": "k", "owner": "o", "until": "success"}},
    ],
)
def test_invalid_or_newer_stamp_is_read_as_none(custom):
    assert read_stamp({"custom": custom}) is None


def test_payload_without_a_stamp_is_not_copied():
    for job in ({}, {"custom": None}, {"custom": {"a": 1}}):
        assert without_stamp(job) is job


def test_stamp_can_be_removed():
    stamped = STAMP.stamped_copy({"custom": {"a": 1}})
    assert without_stamp(stamped) == {"custom": {"a": 1}}
    assert read_stamp(stamped) == STAMP


@pytest.mark.parametrize("value", [1, "mine", None, [], {"key": "k"}])
def test_users_own_value_is_not_removed(value):
    job = {"custom": {"unique": value}}
    assert without_stamp(job) is job


@pytest.mark.parametrize("value", [1, "mine", None, [], {"key": "k"}])
def test_users_own_value_is_refused_at_a_push(value):
    with pytest.raises(InvalidJob, match=r"^custom\.unique: this name is reserved"):
        refuse_reserved_name({"custom": {"unique": value}})


@pytest.mark.parametrize("job", [{}, {"custom": None}, {"custom": "text"}, {"custom": {"a": 1}}])
def test_missing_or_old_stamp_is_accepted_at_a_push(job):
    refuse_reserved_name(job)
    refuse_reserved_name(STAMP.stamped_copy({**job, "custom": {}}))
    refuse_reserved_name({"custom": {"unique": {"v": 99}}})


def test_default_values_are_not_written():
    """Nearly every job has a stamp, and Faktory keeps all jobs in memory."""
    written = STAMP.stamped_copy({})["custom"]["unique"]
    assert written == {
        "v": 2,
        "key": "unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw",
        "owner": "jid-00000001",
        "until": "success",
        "ttl": 600.0,
    }
    assert read_stamp({"custom": {"unique": written}}) == STAMP


@pytest.mark.parametrize(
    "fields",
    [
        {"renew": False},
        {"on_death": "keep"},
        {"renew": False, "on_death": "keep", "until": "start", "ttl": 1.0},
        {"until": "expiry"},
        {"enforce": False},
        {"exclusive": True},
        {"replaceable": True},
        {"replaceable": True, "replaces": "jid-00000000"},
    ],
)
def test_other_values_are_written(fields):
    stamp = STAMP._replace(**fields)
    stamped = stamp.stamped_copy({})
    assert read_stamp(stamped) == stamp
    assert fields.items() <= stamped["custom"]["unique"].items()


@pytest.mark.parametrize(
    "wrong",
    [
        {"until": "soon"},
        {"renew": 1},
        {"on_death": "mourn"},
        {"enforce": None},
        {"exclusive": "yes"},
        {"replaceable": 0},
        {"replaces": True},
        {"owner": None},
        {"ttl": "1h"},
        {"ttl": 0.5},
        {"ttl": True},
        {"v": True},
        {"ttl": 315_360_001},
        {"ttl": float("nan")},
        {"key": ""},
        {"key": "session:admin"},
        {"key": "unique:1:Email:short"},
        {"key": f"{STAMP.key}\n"},
        {"key": f"other:{STAMP.key}"},
        {"key": f"{{{STAMP.key}}}:run"},
        {"key": f"unique:1::{'x' * 22}"},
        {"key": f"unique:1:{'x' * 2_000}:{'x' * 22}"},
        {"key": f"unique:1:\ud800:{'x' * 22}"},
        {"owner": "x" * 513},
        {"owner": "\ud800"},
        {"replaces": ""},
        {"replaces": "jid-00000001?"},
        {"replaces": "x" * 513},
        {"owner": ""},
        {"owner": "jid-00000001?"},
    ],
)
def test_stamp_with_an_unknown_value_is_left_alone(wrong):
    stamped = STAMP.stamped_copy({})
    stamped["custom"]["unique"].update(wrong)
    assert read_stamp(stamped) is None


OLD = {"v": 1, "key": STAMP.key, "owner": "o", "until": "success", "ttl": 60}


def test_version_1_is_read_with_its_own_meaning():
    """It has none of the newer fields, so all of them have their defaults."""
    assert read_stamp({"custom": {"unique": OLD}}) == Stamp(STAMP.key, "o", "success", 60.0)
    written = {**OLD, "until": "start", "renew": False, "on_death": "keep"}
    assert read_stamp({"custom": {"unique": written}}) == Stamp(
        STAMP.key, "o", "start", 60.0, False, "keep"
    )


class TestUnsupported:
    @pytest.mark.parametrize(
        "written",
        [{"v": 3}, {**OLD, "v": VERSION + 1}, {**OLD, "v": "2"}, {**OLD, "until": "soon"}],
    )
    def test_unreadable_stamp_with_a_version_is_returned(self, written):
        assert unsupported_stamp({"custom": {"unique": written}}) == written

    @pytest.mark.parametrize("written", [OLD, {**OLD, "v": 2}])
    def test_readable_stamp_is_not_returned(self, written):
        assert unsupported_stamp({"custom": {"unique": written}}) is None

    @pytest.mark.parametrize(
        "custom", [None, "text", {}, {"unique": True}, {"unique": {"key": "k"}}, {"unique": {}}]
    )
    def test_users_own_value_is_not_returned(self, custom):
        assert unsupported_stamp({"custom": custom}) is None
