"""Cells of requeue: a copy with a new jid and the same owner, and a lock that lasts for it."""

from __future__ import annotations

import pytest

from faktory_unique import ReportStatus
from faktory_unique.locks.transition import held

ATTEMPT = 60 + 30 + (15 + 29 + 10) + 600


def test_until_success_the_lock_lives_for_the_copys_wait(harness):
    unique = harness.unique()
    result, fetched = harness.push_and_fetch(unique)
    assert harness.requeue(fetched, 900) is ReportStatus.ACCEPTED
    assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), 900 + 10 + 600)
    assert harness.events()[-1] == "requeued"
    assert harness.sizes()["scheduled"] == 1
    assert harness.sizes()["working"] == 0
    assert not harness.push(unique)


def test_requeue_never_shortens_the_lock(harness):
    unique = harness.unique()
    result = harness.push(unique)
    assert harness.requeue(harness.fetch(unique), 1) is ReportStatus.ACCEPTED
    assert ATTEMPT - 2 <= harness.ttl(result) <= ATTEMPT


def test_copy_has_a_new_jid_and_releases_the_owners_lock(harness):
    unique = harness.unique()
    result = harness.push(unique)
    first = harness.fetch(unique)
    harness.requeue(first, 0)
    copy = harness.fetch(unique)
    assert copy.job["jid"] != first.job["jid"] == result.jid
    assert copy.job["custom"] == first.job["custom"]
    harness.ack(copy)
    assert harness.lock(result) is None
    assert sum(harness.sizes().values()) == 0


def test_requeue_spends_no_retry(fake):
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
def test_requeue_changes_no_other_lock(harness, until):
    unique = harness.unique(until=until)
    result = harness.push(unique)
    harness.requeue(harness.fetch(unique), 900)
    if until == "start":
        assert harness.lock(result) is None
    else:
        assert (harness.lock(result), harness.ttl(result)) == (held(result.jid), 600)


def test_without_renew_the_lock_keeps_its_ttl(harness):
    unique = harness.unique(renew=False)
    result = harness.push(unique)
    harness.requeue(harness.fetch(unique), 900)
    assert harness.ttl(result) == 600


@pytest.mark.parametrize("arrives", [True, False])
def test_unknown_push_of_the_copy_sends_neither_ack_nor_fail(harness, monkeypatch, arrives):
    unique = harness.unique()
    result, fetched = harness.push_and_fetch(unique)
    harness.lose(monkeypatch, "PUSHB", arrives=arrives)
    assert harness.requeue(fetched, 900) is ReportStatus.UNKNOWN
    assert harness.sizes()["working"] == 1
    assert harness.sizes()["scheduled"] == int(arrives)
    assert harness.lock(result) == held(result.jid)


@pytest.mark.parametrize("retry", [0, -1])
def test_another_copy_is_pushed_if_expiry_would_end_the_job(harness, monkeypatch, retry):
    unique = harness.unique()
    result, fetched = harness.push_and_fetch(unique, retry=retry)
    harness.lose(monkeypatch, "PUSHB", arrives=True)
    assert harness.requeue(fetched, 900) is ReportStatus.ACCEPTED
    assert harness.sizes()["scheduled"] == 2
    assert harness.sizes()["working"] == 0
    assert harness.lock(result) == held(result.jid)


def test_unknown_ack_is_resent(harness, monkeypatch):
    unique = harness.unique()
    harness.push(unique)
    fetched = harness.fetch(unique)
    harness.lose(monkeypatch, "ACK", arrives=False)
    assert harness.requeue(fetched, 900) is ReportStatus.ACCEPTED
    assert harness.sizes()["working"] == 0


def test_requeue_after_reserve_for_sends_nothing(fake):
    """The reservation has expired: the server may have requeued the job already."""
    unique = fake.unique()
    result, fetched = fake.push_and_fetch(unique)
    fake.faktory.clock.advance(60)
    assert fake.requeue(fetched, 900) is ReportStatus.WITHHELD
    assert fake.sizes()["scheduled"] == 0
    assert fake.lock(result) == held(result.jid)


def test_store_away_requeues_and_extends_the_lock_later(harness, wait_for):
    unique = harness.unique()
    result, fetched = harness.push_and_fetch(unique)
    harness.store.away = True
    assert harness.requeue(fetched, 900) is ReportStatus.ACCEPTED
    harness.store.away = False
    wait_for(lambda: harness.ttl(result) > 1500)
    assert harness.lock(result) == held(result.jid)
