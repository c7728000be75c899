"""Events are given to hooks and logged."""

from __future__ import annotations

import logging

import pytest

from faktory_unique import Event, EventName, Policy, PushResult, PushStatus, Unique
from faktory_unique.events import Hooks, log_event


def event(name=EventName.LAPSED, detail=""):
    return Event(name, "the-key", "the-owner", "the-jid", "The::Job", detail)


def test_each_hook_gets_the_event_in_order():
    seen = []
    Hooks([lambda e: seen.append(("a", e)), lambda e: seen.append(("b", e))]).emit(event())
    assert seen == [("a", event()), ("b", event())]


def test_a_hook_that_raises_is_logged_and_has_no_other_effect(caplog):
    seen = []

    def broken(_event):
        raise RuntimeError("why")

    Hooks([broken, seen.append]).emit(event())
    assert seen == [event()]
    assert "broken" in caplog.text
    assert "why" in caplog.text


@pytest.mark.parametrize("name", EventName)
def test_each_event_has_its_log_level(caplog, name):
    quiet = {"acquired", "confirmed", "renewed", "released", "requeued", "run_blocked"}
    usual = {"duplicate", "observed", "superseded"}
    with caplog.at_level(logging.DEBUG, "faktory_unique"):
        log_event(event(name, "more"))
    [record] = caplog.records
    level = logging.DEBUG if name in quiet else logging.INFO if name in usual else logging.WARNING
    assert record.levelno == level
    assert record.getMessage() == (
        f"{name.value}: jobtype=The::Job jid=the-jid owner=the-owner key=the-key: more"
    )


def test_an_event_below_the_logger_level_is_not_logged(caplog):
    with caplog.at_level(logging.WARNING, "faktory_unique"):
        log_event(event(EventName.ACQUIRED))
    assert caplog.records == []


def test_unique_calls_its_hooks_and_logs_as_well(caplog):
    seen = []
    with Unique("memory://", default=Policy(), hooks=[seen.append]) as unique:
        job = {"jid": "jid-00000001", "jobtype": "T", "args": ["secret"], "queue": "q"}
        with caplog.at_level(logging.DEBUG, "faktory_unique"):
            unique.push([job], lambda jobs: [pushed(job) for job in jobs])
            unique.push([{**job, "jid": "jid-00000002"}], lambda _jobs: [])
    assert [e.name for e in seen] == ["acquired", "confirmed", "duplicate"]
    assert {e.jobtype for e in seen} == {"T"}
    assert seen[0].key in caplog.text
    assert "secret" not in caplog.text + repr(seen)


def pushed(job):
    return PushResult(status=PushStatus.PUSHED, jid=job["jid"], submitted_jid=job["jid"])
