"""The meaning of the store's replies for a fetched job; tests/cells has what a worker does then."""

from __future__ import annotations

import pytest

from faktory_unique import Drop, EventName
from faktory_unique.locks.lifecycle import Need, Step, fetch_write, transition_for
from faktory_unique.locks.replies import NO_MEANING, Meaning, meaning_of
from faktory_unique.locks.stamp import Stamp
from faktory_unique.locks.transition import held, leased, read_transition, replaced_marker

FRESH = {"jid": "o", "jobtype": "T", "args": [], "retry": 2, "reserve_for": 90}
FAILED_ONCE = {**FRESH, "failure": {"retry_count": 0}}
COPY = {**FRESH, "jid": "copy-jid-1"}

LAPSED = Meaning(EventName.LAPSED, "the lock had lapsed")
ANOTHER_OWNER = Meaning(EventName.LAPSED, "x has the lock")
REPLACED = Meaning(EventName.SUPERSEDED, "replaced by x", Drop("replaced by x"))


def stamp(until="success", **fields):
    return Stamp("k", "o", until, 600, **fields)


def meaning(step, stamp, job, found):
    return meaning_of(step, stamp, job, transition_for(step, stamp, job), found)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (leased("o"), Meaning(EventName.RENEWED)),
        (held("o"), Meaning(EventName.RENEWED)),
        (None, Meaning(EventName.REACQUIRED)),
        (held("x"), ANOTHER_OWNER),
        (leased("x"), ANOTHER_OWNER),
        (replaced_marker("x"), REPLACED),
    ],
)
def test_hold_renews_reacquires_lapses_or_drops(found, expected):
    assert meaning(Step.FETCH, stamp(replaceable=True), FRESH, found) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (leased("o"), Meaning(EventName.CONFIRMED)),
        (held("o"), NO_MEANING),
        (None, LAPSED),
        (held("x"), ANOTHER_OWNER),
    ],
)
def test_hold_without_renew_only_confirms(found, expected):
    assert meaning(Step.FETCH, stamp(renew=False), FRESH, found) == expected


@pytest.mark.parametrize(
    ("job", "found", "expected"),
    [
        (FRESH, held("o"), Meaning(EventName.RELEASED)),
        (FRESH, None, LAPSED),
        (FRESH, held("x"), ANOTHER_OWNER),
        (FAILED_ONCE, None, NO_MEANING),
        (COPY, None, NO_MEANING),
        (COPY, held("x"), NO_MEANING),
    ],
)
def test_release_at_fetch_lapses_only_at_a_first_attempt(job, found, expected):
    """An earlier attempt may have released the lock: then there is nothing to report."""
    assert meaning(Step.FETCH, stamp("start"), job, found) == expected


@pytest.mark.parametrize(
    ("until", "found", "expected"),
    [
        ("expiry", held("o"), NO_MEANING),
        ("expiry", held("x"), NO_MEANING),
        ("expiry", None, NO_MEANING),
        ("expiry", "old", Meaning(EventName.RENEWED)),
        ("success", held("x"), ANOTHER_OWNER),
        ("success", None, Meaning(EventName.REACQUIRED)),
    ],
)
def test_replacing_job_reports_its_hold(until, found, expected):
    job_stamp = stamp(until, replaceable=True, replaces="old")
    assert meaning(Step.FETCH, job_stamp, FRESH, found) == expected


@pytest.mark.parametrize("found", [None, held("o"), held("x")])
def test_read_only_write_means_nothing_unless_replaced(found):
    read = read_transition("k")._replace(unless_replaced="o")
    assert meaning_of(Step.FETCH, stamp("expiry"), FRESH, read, found) == NO_MEANING
    assert meaning_of(Step.FETCH, stamp("expiry"), FRESH, read, replaced_marker("x")) == REPLACED


@pytest.mark.parametrize(
    ("found", "expected"),
    [(held("o"), Meaning(EventName.RELEASED)), (None, NO_MEANING), (held("x"), NO_MEANING)],
)
def test_release_after_ack_reports_only_its_own(found, expected):
    assert meaning(Step.ACK, stamp(), FRESH, found) == expected


@pytest.mark.parametrize("step", [step for step in Step if step != Step.FETCH])
def test_replaced_marker_means_something_only_at_fetch(step):
    """A foreign value may end like a marker: a report must not drop, or release again and again."""
    release = transition_for(Step.ACK, stamp(), FRESH)
    assert meaning_of(step, stamp("start"), FRESH, release, replaced_marker("x")) == NO_MEANING


@pytest.mark.parametrize("step", [Step.FAIL, Step.REQUEUE])
@pytest.mark.parametrize("found", [None, held("o"), held("x")])
def test_extension_reports_nothing(step, found):
    assert meaning(step, stamp(), FRESH, found) == NO_MEANING


@pytest.mark.parametrize(
    ("job_stamp", "runs", "expected"),
    [
        (stamp(), True, Need.DEFERRABLE),
        (stamp(replaceable=True), True, Need.DEFERRABLE),
        (stamp("expiry", replaceable=True), True, Need.OPTIONAL),
        (stamp("start"), True, Need.REQUIRED),
        (stamp("start", enforce=False), True, Need.DEFERRABLE),
        (stamp("start"), False, Need.REQUIRED),
        (stamp(exclusive=True), True, Need.REQUIRED),
        (stamp(exclusive=True), False, Need.DEFERRABLE),
        (stamp(replaces="old"), True, Need.REQUIRED),
        (stamp(replaces="old"), False, Need.DEFERRABLE),
        (stamp("expiry", replaces="old"), True, Need.REQUIRED),
    ],
)
def test_write_at_fetch_is_required_if_the_job_must_wait(job_stamp, runs, expected):
    assert fetch_write(job_stamp, FRESH, runs=runs).need is expected


def test_dropped_job_replaces_no_other():
    write = fetch_write(stamp(replaces="old"), FRESH, runs=False)
    assert write.transition.replaces is None


@pytest.mark.parametrize("runs", [True, False])
def test_write_at_fetch_until_expiry_is_none(runs):
    assert fetch_write(stamp("expiry"), FRESH, runs=runs) is None
