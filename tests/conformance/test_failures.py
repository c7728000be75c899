"""Failed jobs: retries, backoff, dead, and the stored failure (manager/retry.go)."""

import json
import re
from datetime import datetime

import pytest

from .wire import job


@pytest.fixture
def working(worker):
    """A worker that has job-number-1."""
    worker.push()
    worker.fetch()
    return worker


def failed_once(worker, **failure):
    """Fail the job and return its `failure`."""
    assert worker.fail(**failure) == "+OK"
    worker.mutate("requeue", "retries")
    return worker.fetch()["failure"]


@pytest.mark.parametrize(
    ("retry", "failures", "end"),
    [
        (0, 0, {}),
        (-1, 0, {"dead": 1}),
        (-7, 0, {"dead": 1}),
        (1, 1, {"dead": 1}),
        (2, 2, {"dead": 1}),
        (25, 25, {"dead": 1}),
        (None, 25, {"dead": 1}),
    ],
)
def test_retries(worker, retry, failures, end):
    """After N retries a job is dead; with 0 it is dropped, and with less it is dead at once."""
    worker.push(retry=retry)
    for _ in range(failures):
        worker.fetch()
        worker.fail()
        assert worker.sets() == {"retries": 1}
        worker.mutate("requeue", "retries")
    worker.fetch()
    assert worker.fail() == "+OK"
    assert worker.sets() == end


def test_failure(server, working):
    """A first failure is written with its times, in the order of Go's struct, before the jid."""
    before = server.time()
    working.fail(errtype="E", message="<m>", backtrace=["a", "b"])
    working.mutate("requeue", "retries")
    text = working.ask("FETCH default")
    pattern = (
        r'\{"retry":25,"failure":\{"failed_at":"([^"]+)","next_at":"([^"]+)",'
        r'"message":"\\u003cm\\u003e","errtype":"E","backtrace":\["a","b"\],'
        r'"retry_count":0,"remaining":25\},"jid":"job-number-1",.*\}'
    )
    failed_at, _ = re.fullmatch(pattern, text).groups()
    assert before[:-6] <= failed_at <= server.time()


def test_further_failures(working):
    """A later failure replaces type, message and backtrace; the time of the first one stays."""
    first = failed_once(working, errtype="A", message="a", backtrace=["a"])
    second = failed_once(working, errtype="B")
    third = failed_once(working, message="c")
    texts = [
        (failure["errtype"], failure["message"], failure.get("backtrace"))
        for failure in (first, second, third)
    ]
    counts = [(failure["retry_count"], failure["remaining"]) for failure in (first, second, third)]
    assert texts == [("A", "a", ["a"]), ("B", "unknown", None), ("unknown", "c", None)]
    assert counts == [(0, 25), (1, 24), (2, 23)]
    assert first["failed_at"] == second["failed_at"] == third["failed_at"]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 20])
def test_backoff(server, worker, count):
    """A retry is due after count⁴ + 15 seconds and at most 29 · (count + 1) more."""
    failure = {"retry_count": count - 1, "remaining": 5} if count else None
    worker.push(failure=failure)
    worker.fetch()
    now = server.now()
    next_at = datetime.fromisoformat(failed_once(worker)["next_at"]).timestamp()
    seconds = next_at - now
    least = count**4 + 15
    assert least <= seconds <= least + 29 * (count + 1) + 1
    assert abs((seconds - least) / (count + 1) % 1 * (count + 1)) < 0.5


@pytest.mark.parametrize(
    ("count", "years"),
    [(400, {2261}), (310, {1738}), (55_107, {2012}), (2_000_000, {1773, 1774, 1775})],
)
def test_backoff_overflows(worker, count, years):
    """After hundreds of retries Go's arithmetic overflows (manager/retry.go:164-168)."""
    worker.push(retry=10**7, failure={"retry_count": count})
    worker.fetch()
    next_at = failed_once(worker)["next_at"]
    assert int(next_at[:4]) in years


def test_count_overflows(worker):
    """The count of retries overflows to the lowest number, and the job is retried."""
    worker.push(retry=0x7FFF_FFFF_FFFF_FFFF, failure={"retry_count": 0x7FFF_FFFF_FFFF_FFFF})
    worker.fetch()
    assert failed_once(worker)["retry_count"] == -0x8000_0000_0000_0000


@pytest.mark.parametrize(
    ("pushed", "count", "remaining"),
    [
        ({}, 1, 0),
        ({"retry_count": 3, "remaining": 9}, 4, 8),
        ({"retry_count": -9, "remaining": 1}, -8, 0),
        ({"remaining": -4}, 1, -4),
    ],
)
def test_failure_that_was_pushed(worker, pushed, count, remaining):
    """A pushed job's own `failure` counts as its earlier failures."""
    worker.push(failure=pushed)
    worker.fetch()
    failure = failed_once(worker)
    assert (failure["retry_count"], failure["remaining"]) == (count, remaining)
    assert failure["failed_at"] == ""


def test_failure_that_was_pushed_with_too_many_retries(worker):
    """A job that is pushed with all its retries used is dead at its next failure."""
    worker.push(retry=3, failure={"retry_count": 2})
    worker.fetch()
    worker.fail()
    assert worker.sets() == {"dead": 1}


def test_dead_job(worker):
    """A dead job has its failure, without a time of a retry."""
    worker.push(retry=-1)
    worker.fetch()
    worker.fail(errtype="E", message="m")
    worker.mutate("requeue", "dead")
    failure = worker.fetch()["failure"]
    assert failure.pop("failed_at")
    assert failure == {"message": "m", "errtype": "E", "retry_count": 0, "remaining": -1}


def test_dead_job_keeps_the_time_of_its_last_retry(worker):
    """A dead job keeps the time at which its last retry was due."""
    worker.push(retry=1)
    worker.fetch()
    due = failed_once(worker)["next_at"]
    worker.fail()
    worker.mutate("requeue", "dead")
    assert worker.fetch()["failure"]["next_at"] == due


# The server trims what Go counts as spaces, and cuts the rest (manager/retry.go:40-70).
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, ("unknown", "unknown", None)),
        ({"errtype": None, "message": None, "backtrace": None}, ("unknown", "unknown", None)),
        ({"errtype": "", "message": " \t\n", "backtrace": []}, ("unknown", "unknown", None)),
        ({"errtype": " a b\n", "message": "\u2003\x85\xa0c\u3000"}, ("a b", "c", None)),
        ({"errtype": "\x1c\x1f", "message": "\ufeff\u200b"}, ("\x1c\x1f", "\ufeff\u200b", None)),
        ({"errtype": "e" * 100, "message": "m" * 1_000}, ("e" * 100, "m" * 1_000, None)),
        ({"errtype": "e" * 101, "message": "m" * 1_001}, ("e" * 100, "m" * 1_000, None)),
        ({"errtype": " " + "e" * 99 + " f"}, ("e" * 99 + " ", "unknown", None)),
        ({"errtype": "e" * 99 + "é"}, ("e" * 99 + "\ufffd", "unknown", None)),
        ({"message": "m" * 998 + "€"}, ("unknown", "m" * 998 + "\ufffd\ufffd", None)),
        ({"message": "é" * 501}, ("unknown", "é" * 500, None)),
        ({"backtrace": ["x"] * 50}, ("unknown", "unknown", ["x"] * 50)),
        ({"backtrace": [*"ab"] * 26}, ("unknown", "unknown", [*"ab"] * 25)),
        ({"backtrace": ["", " x ", None]}, ("unknown", "unknown", ["", " x ", ""])),
        ({"Message": "m", "ERRTYPE": "e", "more": 5}, ("e", "m", None)),
    ],
    ids=range(15),
)
def test_failure_is_trimmed_and_cut(working, sent, kept):
    """Type and message are trimmed and cut, and never empty."""
    failure = failed_once(working, **sent)
    assert (failure["errtype"], failure["message"], failure.get("backtrace")) == kept


def test_half_a_character_is_stored_as_an_escape(working):
    """The rest of a cut character is stored as an escape of six characters."""
    working.fail(errtype="e" * 99 + "é")
    assert working.mutate("discard", "retries", regexp=r"*e\\ufffd*") == "+OK"
    assert working.sets() == {}


def test_payload_of_a_retry(working):
    """A retry keeps all fields, even the time at which it was first enqueued."""
    before = job(args=[1.5], custom={"a": 1}, reserve_for=90, backtrace=3, created_at="2020")
    working.ask(f"PUSHB [{json.dumps(before | {'jid': 'job-number-2'})}]")
    fetched = working.fetch()
    working.fail("job-number-2")
    working.mutate("requeue", "retries")
    again = working.fetch()
    assert again.pop("failure")
    assert again == fetched
