"""Jobs that another version of this library has pushed: older ones are served, newer left alone."""

from __future__ import annotations

import pytest

from faktory_unique import Drop, JobError, ReportStatus, Requeue, Run, Unique
from faktory_unique.locks.transition import Transition, held, leased
from faktory_unique.stores.memory import MemoryStore

KEY, OWNER = "unique:1:Email:x", "jid-00000001"
ERROR = JobError("ValueError", "why")


@pytest.fixture
def seen():
    return []


@pytest.fixture
def unique(seen):
    unique = Unique(MemoryStore(lambda: 0.0), hooks=[seen.append])
    unique._context.store.run([Transition(KEY, (None,), held(OWNER), 600)])
    return unique


def job(**stamp):
    written = {"key": KEY, "owner": OWNER, "until": "success", "ttl": 600, **stamp}
    jid = {"jid": "jid-00000002", "jobtype": "Email", "retry": 3}
    return {**jid, "custom": {"unique": written, "a": 1}}


def lock(unique):
    return unique._context.store.values().get(KEY), unique._context.store.ttl(KEY)


def run(unique, job):
    """What a worker does with a job that ends well."""
    assert unique.fetch(job, lambda _job: Run()) == Run()
    assert unique.ack(job, lambda _job: ReportStatus.ACCEPTED) is ReportStatus.ACCEPTED


class TestVersion1:
    def test_until_success_its_ack_frees_the_lock(self, unique):
        run(unique, job(v=1))
        assert lock(unique) == (None, None)

    def test_until_start_its_fetch_does(self, unique):
        old = job(v=1, until="start")
        assert unique.fetch(old, lambda _job: Run()) == Run()
        assert lock(unique) == (None, None)
        unique._context.store.run([Transition(KEY, (None,), held(OWNER), 600)])
        unique.ack(old, lambda _job: ReportStatus.ACCEPTED)
        assert lock(unique) == (OWNER, 600)

    def test_until_expiry_nothing_does(self, unique):
        run(unique, job(v=1, until="expiry"))
        assert lock(unique) == (OWNER, 600)

    @pytest.mark.parametrize("state", [leased, held])
    def test_an_ack_alone_frees_it_in_either_state(self, unique, state):
        unique._context.store.run([Transition(KEY, (OWNER,), state(OWNER), 600)])
        unique.ack(job(v=1), lambda _job: ReportStatus.ACCEPTED)
        assert lock(unique) == (None, None)

    def test_what_it_says_of_death_and_renewal_still_counts(self, unique):
        dead = {**job(v=1, on_death="keep", renew=False), "retry": -1}
        unique.fetch(dead, lambda _job: Run())
        unique.fail(dead, ERROR, lambda _job, _error: ReportStatus.ACCEPTED)
        assert lock(unique) == (OWNER, 600)


@pytest.mark.parametrize(
    "unknown", [job(v=3), job(v=3, until="moon"), job(v=2, until="moon")], ids=["3", "odd 3", "odd"]
)
class TestAVersionThatIsUnknown:
    @pytest.mark.parametrize("decision", [Run(), Drop("why"), Requeue(5)])
    def test_at_fetch_what_the_others_decide_is_done(self, unique, unknown, decision):
        assert unique.fetch(unknown, lambda _job: decision) == decision
        assert lock(unique) == (OWNER, 600)

    def test_at_fetch_it_is_told_once(self, unique, unknown, seen):
        unique.fetch(unknown, lambda _job: Run())
        unique.ack(unknown, lambda _job: ReportStatus.ACCEPTED)
        [event] = seen
        assert (event.name, event.key, event.owner) == ("unsupported_stamp", KEY, OWNER)
        assert (event.jid, event.jobtype) == ("jid-00000002", "Email")
        assert event.detail.startswith(f"version {unknown['custom']['unique']['v']}: ")

    @pytest.mark.parametrize("answer", ReportStatus)
    def test_no_report_touches_the_lock(self, unique, unknown, seen, answer):
        assert unique.ack(unknown, lambda _job: answer) is answer
        assert unique.fail(unknown, ERROR, lambda _job, _error: answer) is answer
        assert unique.requeue(unknown, 900, lambda _job, _delay: answer) is answer
        assert lock(unique) == (OWNER, 600)
        assert seen == []


def test_bare_unsupported_stamp_is_reported_without_key(unique, seen):
    bare = {"jid": "jid-00000002", "jobtype": "Email", "custom": {"unique": {"v": 3}}}
    unique.fetch(bare, lambda _job: Run())
    assert [(event.name, event.key, event.owner) for event in seen] == [
        ("unsupported_stamp", "", "")
    ]


@pytest.mark.parametrize("custom", [{"unique": True}, {"unique": {"key": KEY}}, {}, None])
def test_a_custom_of_the_users_own_is_not_told(unique, seen, custom):
    theirs = {"jid": "jid-00000002", "jobtype": "Email", "custom": custom}
    run(unique, theirs)
    assert seen == []
