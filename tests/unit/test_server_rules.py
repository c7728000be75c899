"""The server's rules follow from a payload's reserve_for, retry and failure.

tests/conformance and tests/cells compare them with a real server.
"""

from __future__ import annotations

import pytest

from faktory_unique.locks.server_rules import (
    FailureOutcome,
    ReservationPhase,
    expiry_noticed_after,
    failure_outcome,
    failures_before,
    latest_retry,
    reservation_phase,
    reserve_for,
)

RETRIED, DEAD, DROPPED = FailureOutcome.RETRIED, FailureOutcome.DEAD, FailureOutcome.DROPPED


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, 1800),
        ({"reserve_for": None}, 1800),
        ({"reserve_for": 0}, 1800),
        ({"reserve_for": -1}, 60),
        ({"reserve_for": 59}, 60),
        ({"reserve_for": 60}, 60),
        ({"reserve_for": 61}, 61),
        ({"reserve_for": 86_400}, 86_400),
        ({"reserve_for": 86_401}, 86_400),
    ],
)
def test_reserve_for_follows_the_server(asked, expected):
    """manager/working.go:114-127."""
    assert reserve_for(asked) == expected
    assert expiry_noticed_after(asked) == expected + 30


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        (0, ReservationPhase.IN_TIME),
        (59.999, ReservationPhase.IN_TIME),
        (60, ReservationPhase.LATE),
        (69.999, ReservationPhase.LATE),
        (70, ReservationPhase.OVER),
        (10**6, ReservationPhase.OVER),
    ],
)
def test_a_reservation_is_in_time_then_late_then_over(elapsed, expected):
    """While it is late, nobody else can have the job yet."""
    assert reservation_phase({"reserve_for": 60}, elapsed) is expected


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ({}, 0),
        ({"failure": None}, 0),
        ({"failure": {"retry_count": 0}}, 1),
        ({"failure": {"retry_count": 7}}, 8),
        ({"failure": {"errtype": "E"}}, 1),
    ],
)
def test_failures_are_counted_from_the_payload(failure, expected):
    assert failures_before(failure) == expected


@pytest.mark.parametrize(
    ("retry", "failures", "expected"),
    [
        (0, 0, DROPPED),
        (0, 3, DROPPED),
        (-1, 0, DEAD),
        (-5, 2, DEAD),
        (1, 0, RETRIED),
        (1, 1, DEAD),
        (3, 2, RETRIED),
        (3, 3, DEAD),
        (3, 4, DEAD),
        (25, 24, RETRIED),
        (25, 25, DEAD),
        (None, 0, RETRIED),
        (None, 1, DROPPED),
    ],
)
def test_the_outcome_follows_from_retry_and_failure(retry, failures, expected):
    """manager/retry.go:124-168: retry=N runs N+1 times; the server sets a missing retry once."""
    job = {"retry": retry, "failure": {"retry_count": failures - 1} if failures else None}
    assert failure_outcome(job) is expected


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(0, 0 + 15 + 29 + 10), (1, 1 + 15 + 58 + 10), (3, 81 + 15 + 116 + 10)],
)
def test_a_retry_waits_at_most_backoff_and_a_skipped_round(failures, expected):
    """n⁴ + 15 + (0…29)·(n + 1) seconds (manager/retry.go:170-174), checked every 5 s."""
    assert latest_retry(failures) == expected
