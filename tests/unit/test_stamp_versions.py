"""Jobs pushed by other versions of the library: older stamps are handled, newer ones left alone."""

from __future__ import annotations

import pytest

from faktory_unique import Drop, JobError, ReportStatus, Requeue, Run, Unique
from faktory_unique.locks.transition import Transition, held, leased
from faktory_unique.stores.memory import MemoryStore

KEY, OWNER = "unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw", "jid-00000001"
ERROR = JobError("ValueError", "why")


@pytest.fixture
def events():
    return []


@pytest.fixture
def unique(events):
    unique = Unique(MemoryStore(lambda: 0.0), hooks=[events.append])
    unique._context.store.run([Transition(KEY, (None,), held(OWNER), 600)])
    return unique


def job(**stamp):
    written = {"key": KEY, "owner": OWNER, "until": "success", "ttl": 600, **stamp}
    jid = {"jid": "jid-00000002", "jobtype": "Email", "retry": 3}
    return {**jid, "custom": {"unique": written, "a": 1}}


def lock(unique):
    return unique._context.store.values().get(KEY), unique._context.store.ttl(KEY)


def run(unique, job):
    """Run a job to success, as a worker does."""
    assert unique.fetch(job, lambda _job: Run()) == Run()
    assert unique.ack(job, lambda _job: ReportStatus.ACCEPTED) is ReportStatus.ACCEPTED


class TestVersion1:
    def test_until_success_ack_releases_the_lock(self, unique):
        run(unique, job(v=1))
        assert lock(unique) == (None, None)

    def test_until_start_fetch_releases_the_lock(self, unique):
        old = job(v=1, until="start")
        assert unique.fetch(old, lambda _job: Run()) == Run()
        assert lock(unique) == (None, None)
        unique._context.store.run([Transition(KEY, (None,), held(OWNER), 600)])
        unique.ack(old, lambda _job: ReportStatus.ACCEPTED)
        assert lock(unique) == (OWNER, 600)

    def test_until_expiry_no_step_releases_the_lock(self, unique):
        run(unique, job(v=1, until="expiry"))
        assert lock(unique) == (OWNER, 600)

    @pytest.mark.parametrize("state", [leased, held])
    def test_ack_alone_releases_a_leased_or_held_lock(self, unique, state):
        unique._context.store.run([Transition(KEY, (OWNER,), state(OWNER), 600)])
        unique.ack(job(v=1), lambda _job: ReportStatus.ACCEPTED)
        assert lock(unique) == (None, None)

    def test_on_death_and_renew_of_version_1_still_count(self, unique):
        dead = {**job(v=1, on_death="keep", renew=False), "retry": -1}
        unique.fetch(dead, lambda _job: Run())
        unique.fail(dead, ERROR, lambda _job, _error: ReportStatus.ACCEPTED)
        assert lock(unique) == (OWNER, 600)


@pytest.mark.parametrize(
    "unknown", [job(v=3), job(v=3, until="moon"), job(v=2, until="moon")], ids=["3", "odd 3", "odd"]
)
class TestUnknownVersion:
    @pytest.mark.parametrize("decision", [Run(), Drop("why"), Requeue(5)])
    def test_decision_of_other_middleware_is_followed(self, unique, unknown, decision):
        assert unique.fetch(unknown, lambda _job: decision) == decision
        assert lock(unique) == (OWNER, 600)

    def test_unsupported_stamp_is_reported_once(self, unique, unknown, events):
        unique.fetch(unknown, lambda _job: Run())
        unique.ack(unknown, lambda _job: ReportStatus.ACCEPTED)
        [event] = events
        assert (event.name, event.key, event.owner) == ("unsupported_stamp", KEY, OWNER)
        assert (event.jid, event.jobtype) == ("jid-00000002", "Email")
        assert event.detail.startswith(f"version {unknown['custom']['unique']['v']}: ")

    @pytest.mark.parametrize("status", ReportStatus)
    def test_no_report_touches_the_lock(self, unique, unknown, events, status):
        assert unique.ack(unknown, lambda _job: status) is status
        assert unique.fail(unknown, ERROR, lambda _job, _error: status) is status
        assert unique.requeue(unknown, 900, lambda _job, _delay: status) is status
        assert lock(unique) == (OWNER, 600)
        assert events == []


@pytest.mark.parametrize("until", ["success", "start"])
def test_stamp_cannot_touch_another_programs_key(unique, events, until):
    """Whoever may push to Faktory must not have a worker delete or write keys of that Redis."""
    store = unique._context.store
    store.run([Transition("session:admin", (None,), "token", 600)])
    hostile = {**job(v=2, key="session:admin", owner="token", until=until, ttl=3e8), "retry": 3}
    run(unique, hostile)
    unique.fetch(hostile, lambda _job: Run())
    unique.fail(hostile, ERROR, lambda _job, _error: ReportStatus.ACCEPTED)
    unique.requeue(hostile, 5, lambda _job, _delay: ReportStatus.ACCEPTED)
    assert (store.values().get("session:admin"), store.ttl("session:admin")) == ("token", 600)
    assert {event.name for event in events} == {"unsupported_stamp"}


def test_bare_unsupported_stamp_is_reported_without_key(unique, events):
    bare = {"jid": "jid-00000002", "jobtype": "Email", "custom": {"unique": {"v": 3}}}
    unique.fetch(bare, lambda _job: Run())
    assert [(event.name, event.key, event.owner) for event in events] == [
        ("unsupported_stamp", "", "")
    ]


@pytest.mark.parametrize("custom", [{"unique": True}, {"unique": {"key": KEY}}, {}, None])
def test_users_own_custom_is_not_reported(unique, events, custom):
    theirs = {"jid": "jid-00000002", "jobtype": "Email", "custom": custom}
    run(unique, theirs)
    assert events == []
