"""`enforce=False` at the worker: no job waits for a lock, and an observed job has none."""

from __future__ import annotations

from faktory_unique.locks.transition import held


def test_until_start_store_away_runs_and_releases_later(harness, wait_for):
    unique = harness.unique(until="start", enforce=False)
    result = harness.push(unique)
    harness.store.away = True
    assert harness.fetch(unique).runs
    assert harness.events()[-1] == "store_error"
    harness.store.away = False
    wait_for(lambda: harness.lock(result) is None)


def test_observed_job_leaves_the_lock_to_its_holder(harness):
    unique = harness.unique(enforce=False)
    first = harness.push(unique, queue="first")
    observed = harness.push(unique)
    assert (observed.status, harness.sizes()["queued"]) == ("observed", 2)
    before = harness.events()
    harness.ack(harness.fetch(unique))
    assert (harness.lock(first), harness.ttl(first)) == (held(first.jid), 600)
    assert harness.events() == before
    harness.ack(harness.fetch(unique, queue="first"))
    assert harness.lock(first) is None
