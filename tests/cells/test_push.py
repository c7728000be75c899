"""The rows of PUSH: take, confirm, give back, leave. They are alike for each `until`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from faktory_unique import Middleware, PushOutcomeUnknown, PushRefused, PushStatus, StoreUnavailable
from faktory_unique.locks.lifecycle import confirm_transition
from faktory_unique.locks.transition import held, leased

pytestmark = pytest.mark.parametrize("until", ["success", "start", "expiry"])


class Between(Middleware):
    """Does something between the take and PUSHB, or between PUSHB and the confirm."""

    def __init__(self, before=None, after=None):
        self.before, self.after = before, after

    def push(self, jobs, call_next):
        if self.before:
            self.before(jobs)
        results = call_next(jobs)
        if self.after:
            self.after()
        return results


class Spoil(Middleware):
    """Makes a job one that the server refuses, past all validation."""

    def push(self, jobs, call_next):
        return call_next([{**job, "reserve_for": 90_000} for job in jobs])


def test_take_absent_becomes_leased_for_the_lease(ground, until):
    unique = ground.unique(until=until)
    seen = []

    def look(jobs):
        [stamp] = [job["custom"]["unique"] for job in jobs]
        seen.append((ground.value_and_ttl(stamp["key"]), stamp["owner"]))

    ground.push(unique, Between(before=look))
    [((value, ttl), owner)] = seen
    assert (value, ttl) == (leased(owner), 40)


def test_take_own_lease_is_reentrant_under_a_new_jid(ground, until, monkeypatch):
    unique = ground.unique(until=until)
    ground.losing(monkeypatch, "PUSHB", arrives=False)
    with pytest.raises(PushOutcomeUnknown) as caught:
        ground.push(unique, jid="jid-00000001")
    [lost] = caught.value.results
    again = ground.push(unique, jid="jid-00000001")
    assert again
    assert lost.submitted_jid == again.submitted_jid == "jid-00000001" != again.jid
    assert ground.lock(again) == held("jid-00000001")
    assert ground.fetch(unique).job["jid"] == again.jid


def test_take_held_by_another_is_a_conflict(ground, until):
    unique = ground.unique(until=until)
    first = ground.push(unique)
    again = ground.push(unique)
    assert (again.status, again.jid, again.confirmed) == (PushStatus.DUPLICATE, first.jid, True)
    assert ground.sizes()["queued"] == 1


def test_take_leased_by_another_is_a_conflict_that_may_pass(ground, until):
    unique = ground.unique(until=until)
    results = []
    again = Between(before=lambda _: results.append(ground.push(ground.unique(until=until))))
    ground.push(unique, again)
    [duplicate] = results
    assert duplicate.status is PushStatus.DUPLICATE
    assert (duplicate.confirmed, duplicate.retry_after) == (False, 40)


def test_accepted_leased_becomes_held_for_its_wait(ground, until):
    result = ground.push(ground.unique(until=until))
    assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), 600)


def test_accepted_for_later_is_held_for_delay_margin_and_ttl(fake, until):
    at = (fake.faktory.clock.now() + timedelta(hours=1)).isoformat()
    result = fake.push(fake.unique(until=until), at=at)
    assert fake.ttl(result) == 3600 + 10 + 600


@pytest.mark.parametrize("rest", ["freed", "held"])
def test_accepted_after_a_faster_worker_changes_nothing(ground, until, rest):
    unique = ground.unique(until=until)

    def work():
        fetched = ground.fetch(unique)
        if rest == "freed":
            ground.ack(fetched)

    result = ground.push(unique, Between(after=work))
    assert result
    freed = until == "start" or (rest == "freed" and until == "success")
    assert ground.lock(result) == (None if freed else held(result.jid))


def test_refused_it_is_freed_while_still_leased(ground, until):
    with pytest.raises(PushRefused) as caught:
        ground.push(ground.unique(until=until), Spoil())
    [result] = caught.value.results
    assert ground.lock(result) is None


def test_refused_a_lease_that_this_push_did_not_take_stays(ground, until, monkeypatch):
    """The push before it may have arrived: its job would wait unguarded."""
    unique = ground.unique(until=until)
    ground.losing(monkeypatch, "PUSHB", arrives=True)
    with pytest.raises(PushOutcomeUnknown):
        ground.push(unique, jid="jid-00000001")
    with pytest.raises(PushRefused) as caught:
        ground.push(unique, Spoil(), jid="jid-00000001")
    [result] = caught.value.results
    assert ground.lock(result) == leased("jid-00000001")


def test_refused_a_lock_that_is_held_by_now_stays(ground, until):
    """A worker that was faster than the answer holds it for a job that runs."""
    unique = ground.unique(until=until)

    def hold(jobs):
        stamp = jobs[0]["custom"]["unique"]
        ground.store.run([confirm_transition(stamp["key"], stamp["owner"], 90)])

    with pytest.raises(PushRefused) as caught:
        ground.push(unique, Between(before=hold), Spoil())
    [result] = caught.value.results
    assert (ground.lock(result), ground.ttl(result)) == (held(result.submitted_jid), 90)


def test_unknown_it_is_left_to_its_lease(ground, until, monkeypatch):
    unique = ground.unique(until=until)
    ground.losing(monkeypatch, "PUSHB", arrives=True)
    with pytest.raises(PushOutcomeUnknown) as caught:
        ground.push(unique)
    [result] = caught.value.results
    assert (ground.lock(result), ground.ttl(result)) == (leased(result.jid), 40)
    assert (result.confirmed, result.retry_after) == (False, 40)


def test_with_the_store_away_nothing_is_pushed(ground, until):
    unique = ground.unique(until=until)
    ground.store.away = True
    with pytest.raises(StoreUnavailable):
        ground.push(unique)
    assert ground.sizes()["queued"] == 0


def test_with_the_store_away_and_push_it_goes_out_unguarded(ground, until):
    unique = ground.unique(until=until, on_store_error="push")
    ground.store.away = True
    result = ground.push(unique)
    assert result
    assert (result.status, result.confirmed) == (PushStatus.UNGUARDED, False)
    assert ground.events() == ["unguarded"]
    ground.store.away = False
    assert ground.lock(result) is None
    fetched = ground.fetch(unique)
    assert fetched.runs
    assert ground.lock(result) == (held(result.jid) if until == "success" else None)


def test_a_confirm_that_failed_is_made_at_the_next_push(ground, until):
    unique = ground.unique(until=until)

    def go_away():
        ground.store.away = True

    result = ground.push(unique, Between(after=go_away))
    assert result
    assert (result.confirmed, result.retry_after) == (False, 40)
    ground.store.away = False
    assert ground.lock(result) == leased(result.jid)
    ground.push(unique, args=[2])
    assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), 600)
