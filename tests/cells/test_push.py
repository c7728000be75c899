"""Cells of PUSH: acquire, confirm, roll back or leave. They are the same for each `until`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from faktory_unique import Middleware, PushOutcomeUnknown, PushRefused, PushStatus, StoreUnavailable
from faktory_unique.locks.lifecycle import confirm_transition
from faktory_unique.locks.transition import held, leased

pytestmark = pytest.mark.parametrize("until", ["success", "start", "expiry"])


class AroundPush(Middleware):
    """Calls a function between acquire and PUSHB, or between PUSHB and confirm."""

    def __init__(self, before=None, after=None):
        self.before, self.after = before, after

    def push(self, jobs, call_next):
        if self.before:
            self.before(jobs)
        results = call_next(jobs)
        if self.after:
            self.after()
        return results


class MakeRefused(Middleware):
    """Changes a job after all validation, so that the server refuses it."""

    def push(self, jobs, call_next):
        return call_next([{**job, "reserve_for": 90_000} for job in jobs])


def test_absent_lock_is_acquired_for_the_lease(harness, until):
    unique = harness.unique(until=until)
    seen = []

    def record(jobs):
        [stamp] = [job["custom"]["unique"] for job in jobs]
        seen.append((harness.value_and_ttl(stamp["key"]), stamp["owner"]))

    harness.push(unique, AroundPush(before=record))
    [((value, ttl), owner)] = seen
    assert (value, ttl) == (leased(owner), 40)


def test_own_lease_is_renewed_under_a_new_jid(harness, until, monkeypatch):
    unique = harness.unique(until=until)
    harness.lose(monkeypatch, "PUSHB", arrives=False)
    with pytest.raises(PushOutcomeUnknown) as caught:
        harness.push(unique, jid="jid-00000001")
    [lost] = caught.value.results
    again = harness.push(unique, jid="jid-00000001")
    assert again
    assert lost.submitted_jid == again.submitted_jid == "jid-00000001" != again.jid
    assert harness.lock(again) == held("jid-00000001")
    assert harness.fetch(unique).job["jid"] == again.jid


def test_lock_held_by_another_is_a_duplicate(harness, until):
    unique = harness.unique(until=until)
    first = harness.push(unique)
    again = harness.push(unique)
    assert (again.status, again.jid, again.confirmed) == (PushStatus.DUPLICATE, first.jid, True)
    assert harness.sizes()["queued"] == 1


def test_lock_leased_by_another_is_an_unconfirmed_duplicate(harness, until):
    unique = harness.unique(until=until)
    results = []
    again = AroundPush(before=lambda _: results.append(harness.push(harness.unique(until=until))))
    harness.push(unique, again)
    [duplicate] = results
    assert duplicate.status is PushStatus.DUPLICATE
    assert (duplicate.confirmed, duplicate.retry_after) == (False, 40)


def test_accepted_job_holds_its_lock_for_ttl(harness, until):
    result = harness.push(harness.unique(until=until))
    assert [(event.name, event.detail) for event in harness.emitted] == [
        ("acquired", ""),
        ("confirmed", ""),
    ]
    assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), 600)


def test_scheduled_job_holds_for_delay_margin_and_ttl(fake, until):
    at = (fake.faktory.clock.now() + timedelta(hours=1)).isoformat()
    result = fake.push(fake.unique(until=until), at=at)
    assert fake.ttl(result) == 3600 + 10 + 600


@pytest.mark.parametrize("left", ["released", "held"])
def test_confirm_after_a_faster_worker_changes_nothing(harness, until, left):
    unique = harness.unique(until=until)

    def work():
        fetched = harness.fetch(unique)
        if left == "released":
            harness.ack(fetched)

    result = harness.push(unique, AroundPush(after=work))
    assert result
    released = until == "start" or (left == "released" and until == "success")
    assert harness.lock(result) == (None if released else held(result.jid))


def test_refused_job_rolls_its_lease_back(harness, until):
    with pytest.raises(PushRefused) as caught:
        harness.push(harness.unique(until=until), MakeRefused())
    [result] = caught.value.results
    assert harness.lock(result) is None


def test_refused_retry_keeps_the_lease_of_an_earlier_push(harness, until, monkeypatch):
    """The earlier push may have arrived; without the lease its job would be unlocked."""
    unique = harness.unique(until=until)
    harness.lose(monkeypatch, "PUSHB", arrives=True)
    with pytest.raises(PushOutcomeUnknown):
        harness.push(unique, jid="jid-00000001")
    with pytest.raises(PushRefused) as caught:
        harness.push(unique, MakeRefused(), jid="jid-00000001")
    [result] = caught.value.results
    assert harness.lock(result) == leased("jid-00000001")


def test_refused_job_keeps_a_lock_that_a_worker_holds(harness, until):
    """A worker that was faster than the reply holds it for a running job."""
    unique = harness.unique(until=until)

    def hold(jobs):
        stamp = jobs[0]["custom"]["unique"]
        harness.store.run([confirm_transition(stamp["key"], stamp["owner"], 90)])

    with pytest.raises(PushRefused) as caught:
        harness.push(unique, AroundPush(before=hold), MakeRefused())
    [result] = caught.value.results
    assert (harness.lock(result), harness.ttl(result)) == (held(result.submitted_jid), 90)


def test_unknown_job_keeps_its_lease(harness, until, monkeypatch):
    unique = harness.unique(until=until)
    harness.lose(monkeypatch, "PUSHB", arrives=True)
    with pytest.raises(PushOutcomeUnknown) as caught:
        harness.push(unique)
    [result] = caught.value.results
    assert (harness.lock(result), harness.ttl(result)) == (leased(result.jid), 40)
    assert (result.confirmed, result.retry_after) == (False, 40)
    assert harness.events() == ["acquired", "push_unknown"]


def test_store_away_pushes_nothing(harness, until):
    unique = harness.unique(until=until)
    harness.store.away = True
    with pytest.raises(StoreUnavailable):
        harness.push(unique)
    assert harness.sizes()["queued"] == 0


def test_store_away_with_push_pushes_unguarded(harness, until):
    unique = harness.unique(until=until, on_store_error="push")
    harness.store.away = True
    result = harness.push(unique)
    assert result
    assert (result.status, result.confirmed) == (PushStatus.UNGUARDED, False)
    assert harness.events() == ["unguarded"]
    harness.store.away = False
    assert harness.lock(result) is None
    fetched = harness.fetch(unique)
    assert fetched.runs
    assert harness.lock(result) == (held(result.jid) if until == "success" else None)


def test_failed_confirm_is_applied_once_the_store_is_back(harness, until, wait_for):
    unique = harness.unique(until=until)

    def go_away():
        harness.store.away = True

    result = harness.push(unique, AroundPush(after=go_away))
    assert result
    assert (result.confirmed, result.retry_after) == (False, 40)
    assert harness.lock(result) == leased(result.jid)
    harness.store.away = False
    wait_for(lambda: harness.lock(result) == held(result.jid))
    assert harness.ttl(result) == 600
