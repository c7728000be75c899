"""Replies of another shape than Faktory's are unknown outcomes, and never a job or a rejection."""

from __future__ import annotations

import json

import pytest

from faktory_unique import CommandOutcomeUnknown
from faktory_unique.client.protocol import (
    check_sizes,
    parse_job,
    parse_rejections,
    parse_state_change,
)

JOB = {"jid": "jid-00000001", "jobtype": "T", "args": [], "queue": "default", "retry": 25}
DEEP = "[" * 100_000


def bulk(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return f"${len(text.encode())}\r\n{text}"


NO_OBJECTS = ["+OK", ":1", "$0\r\n", *(bulk(v) for v in ("x", DEEP, "1", "[]", '"x"', "null"))]
WRONG_FIELDS = [
    *({name: value for name, value in JOB.items() if name != gone} for gone in list(JOB)[:3]),
    *({**JOB, name: value} for name in ("jid", "jobtype") for value in (None, 5, ["x"], {})),
    *({**JOB, "args": value} for value in (None, 5, "x", {})),
    *({**JOB, name: "x"} for name in ("custom", "failure", "retry", "reserve_for", "backtrace")),
    {**JOB, "retry": 1.5},
    {**JOB, "custom": ["unique"]},
    {**JOB, "queue": 5},
]


@pytest.mark.parametrize("reply", [*NO_OBJECTS, *map(bulk, WRONG_FIELDS)], ids=lambda r: r[:50])
def test_reply_that_is_no_job_is_an_unknown_outcome(reply):
    with pytest.raises(CommandOutcomeUnknown, match="reply to FETCH"):
        parse_job(reply)


@pytest.mark.parametrize(
    "more",
    [{}, {"retry": None}, {"custom": {}, "failure": {"retry_count": 1}, "reserve_for": 60}],
)
def test_job_is_returned_unchanged(more):
    assert parse_job(bulk(JOB | more)) == JOB | more


def test_empty_queues_are_no_job():
    assert parse_job("$-1") is None


def test_error_about_a_fetched_job_does_not_quote_it():
    """Its args may be secret, and errors of FETCH are logged."""
    with pytest.raises(CommandOutcomeUnknown) as caught:
        parse_job(bulk({**JOB, "args": "s3cret"}))
    assert "s3cret" not in str(caught.value)
    assert "'args'" in str(caught.value)


@pytest.mark.parametrize(
    "reply", [*NO_OBJECTS, "$-1", bulk({"jid": 5}), bulk({"jid": None})], ids=lambda r: r[:50]
)
def test_reply_without_rejections_is_an_unknown_outcome(reply):
    with pytest.raises(CommandOutcomeUnknown, match="reply to PUSHB"):
        parse_rejections(reply)


@pytest.mark.parametrize(
    "reply",
    [*NO_OBJECTS[1:], bulk({}), bulk({"state": 5}), bulk({"state": ["quiet"]})],
    ids=lambda r: r[:50],
)
def test_reply_to_beat_without_a_state_is_an_unknown_outcome(reply):
    """A heartbeat that raised anything else would be the worker's last."""
    with pytest.raises(CommandOutcomeUnknown, match="reply to BEAT"):
        parse_state_change(reply)


def test_reply_to_beat_has_a_state_or_none():
    assert parse_state_change("+OK") is None
    assert parse_state_change(bulk({"state": "quiet"})) == "quiet"


def test_job_that_no_worker_could_fetch_is_refused():
    """The jobs of one PUSHB may be larger together: each is fetched alone."""
    half = {**JOB, "args": ["x" * (33 * 1024 * 1024)]}
    check_sizes([half, half])
    with pytest.raises(ValueError, match="no worker accepts more than 67108864"):
        check_sizes([JOB, {**JOB, "args": half["args"] * 2}])
