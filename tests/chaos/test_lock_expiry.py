"""Ways in which a lock can expire under a live job, and similar cases in which it must not."""

from __future__ import annotations

import pytest

from tests.chaos.scenario import Scenario
from tests.chaos.settings import LEASE, TTL


def test_expired_lease_of_an_unknown_push_explains_it(scenario):
    scenario.push("x", 0, status="unknown")
    scenario.push_y_during_x(1, LEASE + 2, event=None)
    assert scenario.reasons() == ["push_unknown"]


def test_lease_of_an_unknown_push_must_last(scenario):
    scenario.push("x", 0, status="unknown")
    scenario.push_y_during_x(1, LEASE - 2, event=None)
    assert scenario.reasons() == [None]


def test_rollback_by_a_later_push_explains_it(scenario):
    scenario.push("x", 0, status="unknown", jid="x1")
    scenario.push("x", LEASE + 1, status="not_sent", jid="x2")
    scenario.event("released", "x", LEASE + 1.2, process="p")
    scenario.push_y_during_x(1, LEASE + 2, jid="x1", event=None)
    assert scenario.reasons() == ["push_unknown"]


def test_rollback_of_an_unknown_push_is_unexplained(scenario):
    scenario.push("x", 0, status="unknown")
    scenario.event("released", "x", 0.2, process="p")
    scenario.push_y_during_x(1, 2, event=None)
    assert scenario.reasons() == [None]


@pytest.fixture
def late_confirm():
    """A push that is confirmed after its lease, when another has the lock."""
    scenario = Scenario()
    scenario.push("x", 0, LEASE + 2, confirm_event=False)
    return scenario


def test_producer_stopped_during_its_push_explains_it(late_confirm):
    late_confirm.stop("p", 0.5, LEASE + 1)
    late_confirm.push_y_before_x_runs(LEASE + 3)
    assert late_confirm.reasons() == ["producer_interrupted"]


def test_stop_of_another_producer_explains_nothing(late_confirm):
    late_confirm.stop("another", 0.5, LEASE + 1)
    late_confirm.push_y_before_x_runs(LEASE + 3)
    assert late_confirm.reasons() == [None]


def test_late_confirm_that_is_reported_explains_it(late_confirm):
    late_confirm.event("lapsed", "x", LEASE + 1.9, process="p")
    late_confirm.push_y_before_x_runs(LEASE + 3)
    assert late_confirm.reasons() == ["confirmed_too_late"]


def push_y_then_fetch_x(scenario, pushed, event):
    scenario.push("x", 0)
    scenario.push("y", pushed)
    scenario.fetch("x", pushed + 2, event=event)
    scenario.finish("x", pushed + 3)
    scenario.run("y", pushed + 4)


@pytest.mark.parametrize("event", ["lapsed", "reacquired", "store_error"])
def test_wait_longer_than_ttl_explains_it_if_noticed(scenario, event):
    push_y_then_fetch_x(scenario, TTL + 2, event)
    assert scenario.reasons() == ["waited_longer_than_ttl"]


def test_wait_longer_than_ttl_must_be_noticed(scenario):
    push_y_then_fetch_x(scenario, TTL + 2, "renewed")
    assert scenario.reasons() == [None]


def test_wait_shorter_than_ttl_explains_nothing(scenario):
    push_y_then_fetch_x(scenario, TTL - 2, "lapsed")
    assert scenario.reasons() == [None]


def test_lock_of_a_scheduled_job_lasts_for_its_wait(scenario):
    scenario.push("x", 0, ahead=5)
    scenario.push_y_before_x_runs(TTL + 10)
    assert scenario.reasons() == [None]


def test_store_error_at_the_renewal_explains_it(scenario):
    scenario.push("x", 0)
    scenario.push_y_during_x(1, TTL + 2, event="store_error")
    assert scenario.reasons() == ["store_error"]


def test_store_error_does_not_end_a_lock_early(scenario):
    scenario.push("x", 0)
    scenario.push_y_during_x(1, 3, event="store_error")
    assert scenario.reasons() == [None]


def test_attempt_longer_than_its_lock_is_unexplained(scenario):
    scenario.push("x", 0)
    scenario.push_y_during_x(1, 400)
    assert scenario.reasons() == [None]
