"""The stamp: written at push, read at the worker."""

from __future__ import annotations

import pytest

from faktory_unique.stamp import Stamp, read_stamp, without_stamp

STAMP = Stamp(key="unique:1:Email:x", owner="jid-00000001", until="success", ttl=600.0)


@pytest.mark.parametrize("custom", [None, {}, {"mine": 1}, {"unique": "old"}])
def test_a_stamp_is_read_as_written_and_the_rest_of_custom_kept(custom):
    job = {"jid": "j", "custom": custom}
    stamped = STAMP.written_on(job)
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
def test_what_is_no_stamp_of_this_version_is_none(custom):
    assert read_stamp({"custom": custom}) is None


def test_a_payload_without_a_stamp_is_not_copied():
    for job in ({}, {"custom": None}, {"custom": {"a": 1}}):
        assert without_stamp(job) is job


def test_a_stamp_can_be_taken_off():
    stamped = STAMP.written_on({"custom": {"a": 1}})
    assert without_stamp(stamped) == {"custom": {"a": 1}}
    assert read_stamp(stamped) == STAMP


def test_what_is_usual_is_not_written():
    """Nearly every job bears a stamp, and Faktory keeps them in memory."""
    written = STAMP.written_on({})["custom"]["unique"]
    assert written == {
        "v": 2,
        "key": "unique:1:Email:x",
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
        {"renew": False, "on_death": "keep", "until": "start", "ttl": 0.5},
        {"until": "expiry"},
    ],
)
def test_what_is_unusual_is(fields):
    stamp = STAMP._replace(**fields)
    stamped = stamp.written_on({})
    assert read_stamp(stamped) == stamp
    assert fields.items() <= stamped["custom"]["unique"].items()


@pytest.mark.parametrize("wrong", [{"until": "soon"}, {"renew": 1}, {"on_death": "mourn"}])
def test_a_stamp_with_a_value_that_means_nothing_here_is_left_alone(wrong):
    stamped = STAMP.written_on({})
    stamped["custom"]["unique"].update(wrong)
    assert read_stamp(stamped) is None
