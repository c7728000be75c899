"""The rows of the table in docs/design.md §5 that concern PUSH and ACK, as changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from faktory_unique import lifecycle
from faktory_unique.lifecycle import Change

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lifecycle.take("k", "o", 60), Change("k", (None,), "o?", 60)),
        (lifecycle.renew("k", "o", 60), Change("k", ("o?", None), "o?", 60)),
        (lifecycle.confirm("k", "o", 600), Change("k", ("o?",), "o", 600)),
        (lifecycle.give_back("k", "o"), Change("k", ("o?",), None, 0)),
        (lifecycle.release("k", "o"), Change("k", ("o?", "o"), None, 0)),
        (lifecycle.look("k"), Change("k", (), None, 0)),
    ],
)
def test_each_event_changes_what_the_table_says(change, expected):
    assert change == expected


def test_times_are_whole_seconds_rounded_up():
    """Redis' EX takes whole seconds, and 0 is an error."""
    assert lifecycle.take("k", "o", 0.2).ttl == 1
    assert lifecycle.confirm("k", "o", 10.1).ttl == 11


@pytest.mark.parametrize("owner", ["jid-00000001", "a?b-jid-1", "é"])
def test_a_value_tells_its_owner_and_state(owner):
    assert lifecycle.owner_of(lifecycle.leased(owner)) == owner
    assert lifecycle.owner_of(lifecycle.held(owner)) == owner
    assert lifecycle.is_leased(lifecycle.leased(owner))
    assert not lifecycle.is_leased(lifecycle.held(owner))


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        (None, 0),
        (NOW - timedelta(hours=1), 0),
        (NOW, 0),
        (NOW + timedelta(seconds=1), 11),
        (NOW + timedelta(hours=1), 3610),
    ],
)
def test_a_wait_is_never_negative_and_has_a_margin_where_there_is_one(due, expected):
    """Promotion runs every 5 s and can skip a tick (server/task_runner.go:119-121)."""
    assert lifecycle.wait(due, NOW) == expected
