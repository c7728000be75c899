"""Fixtures: the article's application, its worker, and a Faktory over TCP, fake or real."""

from __future__ import annotations

import pytest

from faktory_unique import Unique
from faktory_unique.testing import FakeFaktory
from tests.article.app import App


@pytest.fixture
def app():
    """The application, with a template to welcome users and a template to bill them."""
    new = App()
    new.templates.create(name="welcome", subject="Welcome!", body="Hello {name}.")
    new.templates.create(name="invoice", subject="Your invoice", body="Please pay, {name}.")
    return new


@pytest.fixture
def user(app):
    return app.users.create(email="alice@example.com", name="Alice")


@pytest.fixture
def consumer(faktory, app):
    """A worker of email notifications that releases their locks."""
    new = faktory.consumer(middleware=[Unique()])
    new.register("EmailNotification", app.email_notification)
    return new


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.faktory)])
def server_url(request):
    """The URL of a Faktory over TCP: of the fake, and of a real Faktory if one is installed."""
    if request.param == "real":
        yield request.getfixturevalue("faktory_url")
    else:
        with FakeFaktory() as fake:
            yield fake.url
