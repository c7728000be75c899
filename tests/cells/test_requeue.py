"""The row of the put-back: a copy of another jid, the same owner, and a lock that lasts for it."""

from __future__ import annotations

import pytest

from faktory_unique import ReportStatus
from faktory_unique.locks.transition import held

ATTEMPT = 60 + 30 + (15 + 29 + 10) + 600


def test_until_success_the_lock_lives_for_the_copys_wait(ground):
    unique = ground.unique()
    result, fetched = ground.push_and_fetch(unique)
    assert ground.requeue(fetched, 900) is ReportStatus.ACCEPTED
    assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), 900 + 10 + 600)
    assert ground.events()[-1] == "requeued"
    assert ground.sizes()["scheduled"] == 1
    assert ground.sizes()["working"] == 0
    assert not ground.push(unique)


def test_it_is_never_shortened(ground):
    unique = ground.unique()
    result = ground.push(unique)
    assert ground.requeue(ground.fetch(unique), 1) is ReportStatus.ACCEPTED
    assert ATTEMPT - 2 <= ground.ttl(result) <= ATTEMPT


def test_copy_has_a_new_jid_and_releases_the_owners_lock(ground):
    unique = ground.unique()
    result = ground.push(unique)
    first = ground.fetch(unique)
    ground.requeue(first, 0)
    copy = ground.fetch(unique)
    assert copy.job["jid"] != first.job["jid"] == result.jid
    assert copy.job["custom"] == first.job["custom"]
    ground.ack(copy)
    assert ground.lock(result) is None
    assert sum(ground.sizes().values()) == 0


def test_no_retry_is_spent(fake):
    unique = fake.unique()
    fake.push(unique, retry=1)
    fake.fail(fake.fetch(unique))
    fake.advance(60)
    fake.requeue(fake.fetch(unique), 30)
    fake.advance(60)
    again = fake.fetch(unique)
    assert again.job["failure"]["retry_count"] == 0
    fake.fail(again)
    assert fake.sizes()["dead"] == 1


@pytest.mark.parametrize("until", ["start", "expiry"])
def test_else_the_lock_is_left_alone(ground, until):
    unique = ground.unique(until=until)
    result = ground.push(unique)
    ground.requeue(ground.fetch(unique), 900)
    if until == "start":
        assert ground.lock(result) is None
    else:
        assert (ground.lock(result), ground.ttl(result)) == (held(result.jid), 600)


def test_not_renewed_it_is_left_alone(ground):
    unique = ground.unique(renew=False)
    result = ground.push(unique)
    ground.requeue(ground.fetch(unique), 900)
    assert ground.ttl(result) == 600


@pytest.mark.parametrize("arrives", [True, False])
def test_a_push_unknown_is_followed_by_neither_ack_nor_fail(ground, monkeypatch, arrives):
    unique = ground.unique()
    result, fetched = ground.push_and_fetch(unique)
    ground.losing(monkeypatch, "PUSHB", arrives=arrives)
    assert ground.requeue(fetched, 900) is ReportStatus.UNKNOWN
    assert ground.sizes()["working"] == 1
    assert ground.sizes()["scheduled"] == int(arrives)
    assert ground.lock(result) == held(result.jid)


@pytest.mark.parametrize("retry", [0, -1])
def test_another_copy_is_pushed_if_expiry_would_end_the_job(ground, monkeypatch, retry):
    unique = ground.unique()
    result, fetched = ground.push_and_fetch(unique, retry=retry)
    ground.losing(monkeypatch, "PUSHB", arrives=True)
    assert ground.requeue(fetched, 900) is ReportStatus.ACCEPTED
    assert ground.sizes()["scheduled"] == 2
    assert ground.sizes()["working"] == 0
    assert ground.lock(result) == held(result.jid)


def test_an_unknown_ack_is_sent_again(ground, monkeypatch):
    unique = ground.unique()
    ground.push(unique)
    fetched = ground.fetch(unique)
    ground.losing(monkeypatch, "ACK", arrives=False)
    assert ground.requeue(fetched, 900) is ReportStatus.ACCEPTED
    assert ground.sizes()["working"] == 0


def test_after_reserve_for_nothing_is_sent(fake):
    """The expiry decides: it may have put the job back already."""
    unique = fake.unique()
    result, fetched = fake.push_and_fetch(unique)
    fake.faktory.clock.advance(60)
    assert fake.requeue(fetched, 900) is ReportStatus.WITHHELD
    assert fake.sizes()["scheduled"] == 0
    assert fake.lock(result) == held(result.jid)


def test_store_away_requeues_and_extends_the_lock_later(ground, wait_for):
    unique = ground.unique()
    result, fetched = ground.push_and_fetch(unique)
    ground.store.away = True
    assert ground.requeue(fetched, 900) is ReportStatus.ACCEPTED
    ground.store.away = False
    wait_for(lambda: ground.ttl(result) > 1500)
    assert ground.lock(result) == held(result.jid)
