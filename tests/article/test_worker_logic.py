"""The article's "Option 1: Test Worker Logic Directly", and "Go Client Testing".

A handler is a plain callable. These tests call it directly, without a Faktory.
"""

from __future__ import annotations

import pytest

from tests.article.app import Email, EmailProcessor, Mailer, RecordNotFound, Users


class TestEmailNotification:
    """RSpec.describe EmailNotificationWorker, '#perform_notification (unit test)'."""

    def test_sends_email_to_user(self, app, user):
        app.email_notification(user.id, "welcome", {})
        assert app.mailer.sent == [
            Email(to="alice@example.com", subject="Welcome!", body="Hello Alice.")
        ]

    def test_creates_an_email_log_entry(self, app, user):
        app.email_notification(user.id, "welcome", {})
        assert app.email_log == [(user.id, "welcome")]

    def test_raises_for_unknown_template(self, app, user):
        with pytest.raises(RecordNotFound, match="no email template 'nonexistent'"):
            app.email_notification(user.id, "nonexistent", {})

    def test_raises_for_unknown_user(self, app):
        with pytest.raises(RecordNotFound, match="no user -1"):
            app.email_notification(-1, "welcome", {})

    @pytest.mark.parametrize("ids", [(-1, "welcome"), (1, "nonexistent")])
    def test_sends_and_logs_nothing_if_it_raises(self, app, user, ids):
        """The article does not test this, but a retry depends on it."""
        with pytest.raises(RecordNotFound):
            app.email_notification(*ids)
        assert (app.mailer.sent, app.email_log) == ([], [])


class TestEmailProcessor:
    """TestEmailProcessor_ProcessEmailJob: a table of cases. In Go, numbers in args are floats."""

    @pytest.fixture
    def users(self):
        users = Users()
        users.create(email="alice@example.com")
        return users

    @pytest.mark.parametrize(
        ("args", "raises", "sent"),
        [
            pytest.param(
                [1.0, "welcome"],
                None,
                [Email(to="alice@example.com", subject="welcome", body="")],
                id="sends email successfully",
            ),
            pytest.param(
                [1.0],
                (ValueError, "expected at least 2 args, got 1"),
                [],
                id="fails with missing args",
            ),
            pytest.param(
                [999.0, "welcome"],
                (RecordNotFound, "no user 999"),
                [],
                id="fails when user not found",
            ),
        ],
    )
    def test_process_email_job(self, users, args, raises, sent):
        mailer = Mailer()
        processor = EmailProcessor(users, mailer)
        if raises is None:
            processor.process_email_job(*args)
        else:
            error, message = raises
            with pytest.raises(error, match=message):
                processor.process_email_job(*args)
        assert mailer.sent == sent
