"""A job that Faktory would refuse, or accept and lose, is refused with the reason."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from faktory_unique import InvalidJob
from faktory_unique.locks.job_validation import check_job, due_time, validated_queues

GOOD = {"jid": "jid-00000001", "jobtype": "Email", "args": []}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"args": (1,)},
        {"queue": ""},
        {"queue": "a.B-c_9"},
        {"jid": "é" * 4},
        {"reserve_for": 86_400},
        {"reserve_for": None},
        {"custom": {"a": [1.5, None]}},
        {"custom": None},
    ],
)
def test_a_good_job_passes(fields):
    check_job({**GOOD, **fields})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"jobtype": ""}, "jobtype: ''"),
        ({"jobtype": None}, "jobtype: None"),
        ({"jobtype": 7}, "jobtype: 7"),
        ({"jobtype": "\ud800"}, "jobtype: '\\ud800' is not Unicode text of 1 to 512 bytes"),
        ({"jobtype": "é" * 256 + "e"}, "is not Unicode text of 1 to 512 bytes; pass the name"),
        ({"jid": "1234567"}, "jid: '1234567' is not Unicode text of 8 to 512 bytes"),
        ({"jid": "é" * 256 + "e"}, "is not Unicode text of 8 to 512 bytes; let Job set it"),
        ({"jid": 12345678}, "jid: 12345678"),
        ({"jid": "12345678?"}, "marks a lease"),
        ({"jid": "1234567\ud800"}, "jid: '1234567\\ud800' is not Unicode text"),
        ({"args": None}, "args: not a list"),
        ({"args": "text"}, "args: not a list"),
        ({"queue": "a b"}, "queue: 'a b'"),
        ({"queue": "a\n"}, "queue: 'a\\n'"),
        ({"queue": "ä"}, "queue: 'ä'"),
        ({"queue": 7}, "queue: 7"),
        ({"reserve_for": 86_401}, "reserve_for: 86401"),
        ({"custom": {"a": {1}}}, "custom: Object of type set"),
        ({"custom": {"a": float("inf")}}, "custom: Out of range float"),
    ],
)
def test_a_bad_job_is_refused_with_the_reason(fields, message):
    with pytest.raises(InvalidJob) as caught:
        check_job({**GOOD, **fields})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (None, None),
        ("", None),
        ("2026-01-31T09:00:00Z", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31T10:00:00+01:00", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("2026-01-31T09:00:00.123456789Z", datetime(2026, 1, 31, 9, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_a_due_time_is_parsed_as_by_the_server(at, expected):
    assert due_time({"at": at}) == expected


@pytest.mark.parametrize("at", ["tomorrow", "2026-01-31T09:00:00", "2026-01-31", 7])
def test_a_due_time_without_a_zone_or_sense_is_named(at):
    with pytest.raises(InvalidJob, match=f"at: {at!r}"):
        due_time({"at": at})


def test_queues_must_be_a_list_of_names():
    assert validated_queues(name for name in ("default", "a-b.c_9")) == ["default", "a-b.c_9"]
    with pytest.raises(TypeError, match=r"pass \['default'\]"):
        validated_queues("default")


@pytest.mark.parametrize("wrong", [[], ["a b"], ["default", None]])
def test_queues_that_can_have_no_job_are_refused(wrong):
    with pytest.raises(ValueError, match="name at least one"):
        validated_queues(wrong)
