"""The article's "Testing Job Deduplication", "Client-Side Deduplication".

`perform_unique` is a push through `Unique`. Two things differ from the article. A lock lapses
because time passes, and no test deletes its key. In inline mode the lock is released by the same
code as in a worker, after Faktory has acknowledged the job.
"""

from __future__ import annotations

import pytest

from tests.article.app import notify


class TestJobDeduplication:
    """RSpec.describe 'Job deduplication'."""

    def test_enqueues_only_one_job_for_duplicate_calls(self, faktory, user):
        notify(user.id, "welcome")
        notify(user.id, "welcome")
        faktory.assert_enqueued("EmailNotification", args=[user.id, "welcome"], count=1)

    def test_allows_different_jobs_with_different_args(self, faktory, user):
        notify(user.id, "welcome")
        notify(user.id, "invoice")
        faktory.assert_enqueued("EmailNotification", count=2)

    def test_allows_re_enqueue_after_ttl_expires(self, faktory, user):
        notify(user.id, "welcome")
        faktory.advance(hours=1)
        notify(user.id, "welcome")
        faktory.assert_enqueued("EmailNotification", args=[user.id, "welcome"], count=2)

    def test_allows_re_enqueue_after_job_completes(self, faktory, consumer, app, user):
        with faktory.inline(consumer):
            notify(user.id, "welcome")
        notify(user.id, "welcome")
        faktory.assert_enqueued("EmailNotification", args=[user.id, "welcome"], count=1)


def test_push_is_a_duplicate_until_the_ttl_ends(faktory, user):
    notify(user.id, "welcome")
    faktory.advance(minutes=59)
    assert notify(user.id, "welcome").status == "duplicate"


def test_duplicate_reports_the_queued_job(faktory, user):
    """The article logs a line; here the caller gets the jid."""
    first = notify(user.id, "welcome")
    again = notify(user.id, "welcome")
    assert (again.status, again.jid) == ("duplicate", first.jid)


def test_lock_is_held_for_the_ttl(faktory, unique_locks, user):
    """The article's "1 hour TTL"."""
    first = notify(user.id, "welcome")
    lock = unique_locks[first.key]
    assert (lock.owner, lock.ttl) == (first.jid, pytest.approx(3600, abs=5))


def test_lock_is_released_when_the_job_completes(faktory, unique_locks, consumer, user):
    """The article's "Remove dedup key when job completes"."""
    notify(user.id, "welcome")
    faktory.drain(consumer)
    assert dict(unique_locks) == {}


def test_failed_job_keeps_its_lock(faktory, unique_locks, consumer, user):
    """The article's `perform` releases it before the work, so an equal job could be queued too."""
    first = notify(user.id, "nonexistent")
    faktory.drain(consumer)
    assert list(unique_locks) == [first.key]
    assert [job["jid"] for job in faktory.retries] == [first.jid]
