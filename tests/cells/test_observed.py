"""`enforce=False` at the worker: a lock keeps no job waiting, and an observed job has none."""

from __future__ import annotations

from faktory_unique.locks.transition import held


def test_until_start_store_away_runs_and_releases_later(ground, wait_for):
    unique = ground.unique(until="start", enforce=False)
    result = ground.push(unique)
    ground.store.away = True
    assert ground.fetch(unique).runs
    assert ground.events()[-1] == "store_error"
    ground.store.away = False
    wait_for(lambda: ground.lock(result) is None)


def test_observed_job_leaves_the_lock_to_its_holder(ground):
    unique = ground.unique(enforce=False)
    first = ground.push(unique, queue="first")
    observed = ground.push(unique)
    assert (observed.status, ground.sizes()["queued"]) == ("observed", 2)
    before = ground.events()
    ground.ack(ground.fetch(unique))
    assert (ground.lock(first), ground.ttl(first)) == (held(first.jid), 600)
    assert ground.events() == before
    ground.ack(ground.fetch(unique, queue="first"))
    assert ground.lock(first) is None
