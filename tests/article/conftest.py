"""The article's application, and what it is tested on."""

from __future__ import annotations

import pytest

from faktory_unique import Unique
from faktory_unique.testing import FakeFaktory
from tests.article.app import App


@pytest.fixture
def app():
    """The application, with a template to welcome users and one to bill them."""
    new = App()
    new.templates.create(name="welcome", subject="Welcome!", body="Hello {name}.")
    new.templates.create(name="invoice", subject="Your invoice", body="Please pay, {name}.")
    return new


@pytest.fixture
def user(app):
    return app.users.create(email="alice@example.com", name="Alice")


@pytest.fixture
def consumer(faktory, app):
    """A worker of email notifications, which frees their locks."""
    new = faktory.consumer(middleware=[Unique()])
    new.register("EmailNotification", app.email_notification)
    return new


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.faktory)])
def server_url(request):
    """A Faktory over TCP: the fake, and a real one where there is one."""
    if request.param == "real":
        yield request.getfixturevalue("faktory_url")
    else:
        with FakeFaktory() as fake:
            yield fake.url
