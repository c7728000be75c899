"""Foreign text in logs, errors and events is escaped and cut: it cannot forge a line."""

from __future__ import annotations

import logging
import re

import pytest

from faktory_unique import (
    CommandRefused,
    DuplicateJob,
    Event,
    EventName,
    InvalidJob,
    Job,
    Policy,
    Producer,
    PushRefused,
    Unique,
)
from faktory_unique._util import FirstTimes, log, visible_text
from faktory_unique.client.protocol import parse_rejections
from faktory_unique.events import Hooks, log_event
from faktory_unique.testing import fake
from faktory_unique.worker.processor import JobProcessor

FORGED = "T\nWARNING faktory_unique: all is well\x1b[2K\u2028\ud800"
ESCAPED = r"T\nWARNING faktory_unique: all is well\x1b[2K\u2028\ud800"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain: äöü → 日本 …", "plain: äöü → 日本 …"),
        (FORGED, ESCAPED),
        ("a\r\tb\x00\x7f\x85", r"a\r\tb\x00\x7f\x85"),
        ("\u202eabc", r"\u202eabc"),
        ("\U000e0001", r"\U000e0001"),
        (f"a{'x' * 499}z", f"a{'x' * 332}…{'x' * 165}z"),
        ("x" * 500, "x" * 500),
    ],
)
def test_visible_text_is_one_printable_line(text, shown):
    assert visible_text(text) == shown


def test_names_that_were_seen_are_bounded():
    """They come from jobs: a worker must not remember a million jobtypes."""
    seen = FirstTimes()
    assert [seen.is_first(name) for name in ("a", "b", "a")] == [True, True, False]
    assert sum(seen.is_first(f"name {n}") for n in range(2_000)) == 998
    assert len(seen._names) == 1_000


def test_names_in_the_cache_of_keys_are_bounded():
    unique = Unique("memory://", default=Policy())
    for call in (unique.holder, unique.release):
        with pytest.raises(InvalidJob, match="is not Unicode text of 1 to 512 bytes"):
            call("x" * 1_000_000, [])


@pytest.mark.parametrize("value", [FORGED, ValueError(FORGED)])
def test_every_text_in_a_log_line_is_escaped(caplog, value):
    log.warning("n=%d text=%s", 3, value)
    assert [record.getMessage() for record in caplog.records] == [f"n=3 text={ESCAPED}"]


def test_log_line_of_an_event_is_escaped_and_cut(caplog):
    with caplog.at_level(logging.DEBUG, "faktory_unique"):
        log_event(Event(EventName.LAPSED, "k" * 1_000_000, FORGED, FORGED, FORGED, FORGED))
    [line] = [record.getMessage() for record in caplog.records]
    assert line.isprintable()
    assert len(line) < 5 * 520
    assert f"jobtype={ESCAPED} jid={ESCAPED}" in line


def test_detail_of_an_event_is_escaped_for_hooks():
    seen = []
    Hooks([seen.append]).emit(Event(EventName.LAPSED, "k", "o", "j", FORGED, FORGED))
    assert (seen[0].jobtype, seen[0].detail) == (FORGED, ESCAPED)


@pytest.mark.parametrize("kind", [InvalidJob, CommandRefused, PushRefused, DuplicateJob])
def test_text_of_an_error_is_escaped_and_cut(kind):
    assert str(kind(f"why: {FORGED}")) == f"why: {ESCAPED}"
    long = str(kind(f"{'x' * 1_000_000}; do this"))
    assert len(long) < 2_100
    assert long.endswith("; do this")
    assert re.fullmatch(rf"{kind.__name__}\(.*\)", repr(kind("why")))


def test_rejection_by_the_server_is_escaped():
    reply = '$9\r\n{"jid-1": "no\\nforged"}'
    assert parse_rejections(reply) == {"jid-1": r"no\nforged"}


def test_jobtype_of_an_invalid_job_cannot_forge_a_line():
    with fake() as faktory, faktory.client() as client:
        producer = Producer(client, middleware=[Unique(default=Policy())])
        with pytest.raises(InvalidJob) as caught:
            producer.push(Job(jobtype=FORGED, args=[object()]))
    assert str(caught.value).isprintable()


def test_worker_logs_a_jobtype_escaped(caplog):
    job = {"jid": "jid-00000001", "jobtype": FORGED, "args": []}
    error = JobProcessor([], {}).start(job)
    assert FORGED not in error.message
    JobProcessor([], {FORGED: (print, False)}).log_start_failure(job, ValueError("why"))
    assert FORGED not in caplog.text


def test_named_arguments_of_a_log_line_are_left_to_logging(caplog):
    log.warning("%(name)s", {"name": "x"})
    assert caplog.messages == ["x"]
