"""Ways in which a lock can expire under a live job, and similar cases in which it must not."""

from __future__ import annotations

import pytest

from tests.chaos.details import ACK_ERROR, DEFERRED, FAIL_ERROR, FETCH_ERROR, RUN_LOCK_ERROR
from tests.chaos.scenario import Scenario
from tests.chaos.settings import LEASE, TTL
from tests.chaos.timing import attempt_seconds


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


@pytest.fixture
def lapsed(scenario):
    """x waited for longer than ttl. It runs without a lock: y had it, and has ended."""
    scenario.push("x", 0)
    scenario.push("y", TTL + 2)
    scenario.run("y", TTL + 3)
    scenario.fetch("x", TTL + 3.5, event="lapsed", decision="Run")
    return scenario


def test_push_during_the_run_of_a_lapsed_job_is_explained(lapsed):
    lapsed.push("z", TTL + 5)
    lapsed.run("z", TTL + 6)
    lapsed.finish("x", TTL + 10)
    assert lapsed.reasons() == ["waited_longer_than_ttl"] * 2


def test_lapsed_job_that_has_its_lock_again_must_keep_it(lapsed):
    lapsed.report("fail", "x", TTL + 5)
    lapsed.fetch("x", TTL + 30, failures=1, event="reacquired", decision="Run")
    lapsed.push("z", TTL + 31)
    lapsed.run("z", TTL + 32)
    lapsed.finish("x", TTL + 40)
    assert lapsed.reasons() == ["waited_longer_than_ttl", None]


def test_late_confirm_after_an_old_lease_is_unexplained(scenario):
    """A quarter of a lease after the acquire, the lease is renewed before the send."""
    scenario.push("x", 0, LEASE + 2, sent=LEASE / 2, confirm_event=False)
    scenario.event("lapsed", "x", LEASE + 1, process="p")
    scenario.push_y_before_x_runs(LEASE + 3)
    assert scenario.reasons() == [None]


def test_lapse_that_a_worker_reports_explains_no_missing_confirm(late_confirm):
    """The producer never sent the confirm: nothing else can have ended the lease."""
    late_confirm.push("y", LEASE + 3)
    late_confirm.run("x", LEASE + 5, event="lapsed")
    late_confirm.run("y", LEASE + 7)
    assert late_confirm.reasons() == [None]


def test_unknown_push_before_the_last_lease_explains_nothing(scenario):
    """x was pushed again, for certain, and was never confirmed."""
    scenario.push("x", 0, status="unknown", jid="x1")
    scenario.push("x", 1, jid="x2", confirm_event=False)
    scenario.push_y_during_x(2, LEASE + 2, jid="x2", event=None)
    assert scenario.reasons() == [None]


def test_producer_stopped_in_a_later_push_explains_nothing(late_confirm):
    late_confirm.push_y_before_x_runs(LEASE + 3)
    late_confirm.push("x", LEASE + 20, process="later", status="duplicate", holder="x")
    late_confirm.stop("later", LEASE + 20, LEASE + 21)
    assert late_confirm.reasons() == [None]


def push_y_then_fetch_x(scenario, pushed, event, detail=""):
    scenario.push("x", 0)
    scenario.push("y", pushed)
    scenario.fetch("x", pushed + 2, event=event, detail=detail)
    scenario.finish("x", pushed + 3)
    scenario.run("y", pushed + 4)


@pytest.mark.parametrize(
    ("event", "detail"),
    [("lapsed", ""), ("reacquired", ""), ("store_error", f"{FETCH_ERROR}: unavailable")],
)
def test_wait_longer_than_ttl_explains_it_if_noticed(scenario, event, detail):
    push_y_then_fetch_x(scenario, TTL + 2, event, detail)
    assert scenario.reasons() == ["waited_longer_than_ttl"]


def test_store_error_after_the_run_notices_no_lapse(scenario):
    push_y_then_fetch_x(scenario, TTL + 2, "store_error", f"{ACK_ERROR} unavailable")
    assert scenario.reasons() == [None]


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


def test_lapse_noticed_only_at_the_second_fetch_is_unexplained(scenario):
    """The first worker renewed the lock, so it cannot have lapsed before."""
    scenario.push("x", 0)
    scenario.push("y", TTL + 2)
    scenario.fetch("x", TTL + 4, event="renewed")
    scenario.fetch("x", TTL + 80, event="lapsed", failures=1)
    scenario.finish("x", TTL + 81)
    scenario.run("y", TTL + 84)
    assert scenario.reasons() == [None]


FAILED_HOLD = f"{FETCH_ERROR}: unavailable{DEFERRED}"


def push_y_after_failed_hold(scenario, pushed, *, outage_ends=None, detail=FAILED_HOLD):
    """Fetch x at 1, when the store fails its hold, and push y while x runs."""
    scenario.push("x", 0)
    scenario.delay("redis", 0.9, outage_ends or pushed)
    scenario.push_y_during_x(1, pushed, event="store_error", detail=detail)


def test_store_error_at_the_hold_explains_it(scenario):
    push_y_after_failed_hold(scenario, TTL + 2)
    assert scenario.reasons() == ["store_error"]


def test_deferred_hold_must_be_applied_once_redis_is_back(scenario):
    push_y_after_failed_hold(scenario, TTL + 2, outage_ends=5)
    assert scenario.reasons() == [None]


def test_ended_worker_explains_a_missing_hold(scenario):
    """Its handler outlives it."""
    scenario.end("w", 2)
    push_y_after_failed_hold(scenario, TTL + 2, outage_ends=5)
    assert scenario.reasons() == ["store_error"]


def test_reported_run_explains_a_missing_hold(scenario):
    """Once a run is reported, its deferred hold acquires no lock."""
    scenario.push("x", 0)
    scenario.delay("redis", 0.9, TTL + 1)
    scenario.fetch("x", 1, event="store_error", detail=FAILED_HOLD)
    scenario.report("fail", "x", TTL)
    scenario.push("y", TTL + 30)
    scenario.run("x", TTL + 50, failures=1)
    scenario.run("y", TTL + 60)
    assert scenario.reasons() == ["store_error"]


def test_hold_that_is_not_deferred_may_be_missing(scenario):
    """A job that can be replaced runs without it."""
    detail = f"{FETCH_ERROR}: unavailable; the job runs"
    push_y_after_failed_hold(scenario, TTL + 2, outage_ends=5, detail=detail)
    assert scenario.reasons() == ["store_error"]


@pytest.mark.parametrize("detail", [ACK_ERROR, RUN_LOCK_ERROR])
def test_failed_release_explains_no_expired_lock(scenario, detail):
    push_y_after_failed_hold(scenario, TTL + 2, detail=detail)
    assert scenario.reasons() == [None]


def test_failed_hold_explains_nothing_past_the_attempt(scenario):
    """The hold would have expired by then, too."""
    push_y_after_failed_hold(scenario, 1 + attempt_seconds(0) + 2)
    assert scenario.reasons() == [None]


def push_y_after_failed_extension(scenario, outage_ends):
    """The store fails the extension at the FAIL of x, and y is pushed when its hold is over."""
    held = attempt_seconds(0)
    scenario.push("x", 0)
    scenario.fetch("x", 1)
    scenario.event("store_error", "x", held - 10, detail=f"{FAIL_ERROR} unavailable{DEFERRED}")
    scenario.report("fail", "x", held - 10)
    scenario.delay("redis", held - 11, outage_ends)
    scenario.push("y", held + 3)
    scenario.run("x", held + 10, failures=1)
    scenario.run("y", held + 20)


def test_store_error_at_fail_explains_it(scenario):
    push_y_after_failed_extension(scenario, attempt_seconds(0) + 1)
    assert scenario.reasons() == ["store_error"]


def test_deferred_extension_must_be_applied_once_redis_is_back(scenario):
    push_y_after_failed_extension(scenario, attempt_seconds(0) - 9)
    assert scenario.reasons() == [None]


@pytest.mark.parametrize(("pushed", "reason"), [(LEASE + 2, "store_error"), (TTL + 2, None)])
def test_failed_confirm_explains_it_for_as_long_as_it_had_lasted(scenario, pushed, reason):
    scenario.push("x", 0, confirm_event=False)
    scenario.event("store_error", "x", 0.09, process="p", detail="no reply")
    scenario.push_y_before_x_runs(pushed)
    assert scenario.reasons() == [reason]


def test_store_error_does_not_end_a_lock_early(scenario):
    scenario.push("x", 0)
    scenario.push_y_during_x(1, 3, event="store_error")
    assert scenario.reasons() == [None]


def test_attempt_longer_than_its_lock_is_unexplained(scenario):
    scenario.push("x", 0)
    scenario.push_y_during_x(1, 400)
    assert scenario.reasons() == [None]
