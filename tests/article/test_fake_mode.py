"""The article's "Option 2: Test with faktory_worker_ruby Test Helpers".

`Faktory::Testing.fake!` is the fixture `faktory`: it captures pushes, and each test starts empty.
"""

from __future__ import annotations

from faktory_unique import Client
from faktory_unique.testing import fake
from tests.article.app import notify


class TestJobEnqueueing:
    """RSpec.describe 'Job enqueueing'."""

    def test_enqueues_a_notification_job_when_user_signs_up(self, faktory, app):
        app.register(email="alice@example.com", name="Alice")
        faktory.assert_enqueued("EmailNotification", count=1)

    def test_enqueues_with_correct_arguments(self, faktory, user):
        notify(user.id, "welcome")
        job = faktory.jobs_for("EmailNotification")[-1]
        assert job["args"] == [user.id, "welcome"]

    def test_enqueues_to_correct_queue(self, faktory, user):
        notify(user.id, "critical_alert")
        job = faktory.jobs_for("EmailNotification")[-1]
        assert job["queue"] == "default"


def test_fake_mode_runs_no_job(faktory, app):
    """The comment beside fake!: "Queue jobs but don't process them"."""
    app.register(email="alice@example.com", name="Alice")
    assert app.mailer.sent == []


def test_end_of_the_block_disables_the_fake(monkeypatch):
    """`after { Faktory::Testing.disable! }` is the end of a `with fake()` block, or of the test."""
    monkeypatch.setenv("FAKTORY_URL", "tcp://faktory.invalid:7419")
    with fake():
        pass
    assert Client().host == "faktory.invalid"
