"""The article's application: users who register, and the emails that they get.

Its repositories are in memory. `open_producer` creates a producer at each use, so that it reaches
the Faktory that the variables name at that time.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from faktory_unique import Client, Job, Policy, Producer, Unique

POLICIES = {"EmailNotification": Policy(ttl="1h")}


class RecordNotFound(LookupError):
    """The record does not exist."""


@contextmanager
def open_producer():
    """Yield a producer whose email notifications are unique."""
    with Client() as client, Unique(policies=POLICIES) as unique:
        yield Producer(client, middleware=[unique])


@dataclass(frozen=True)
class User:
    id: int
    email: str
    name: str


class Users:
    def __init__(self):
        self._by_id = {}
        self._ids = count(1)

    def create(self, *, email, name="Alice"):
        user = User(next(self._ids), email, name)
        self._by_id[user.id] = user
        return user

    def find(self, user_id):
        if user_id not in self._by_id:
            raise RecordNotFound(f"no user {user_id}")
        return self._by_id[user_id]


@dataclass(frozen=True)
class EmailTemplate:
    name: str
    subject: str
    body: str


class EmailTemplates:
    def __init__(self):
        self._by_name = {}

    def create(self, *, name, subject, body="Hello {name}."):
        template = EmailTemplate(name, subject, body)
        self._by_name[name] = template
        return template

    def find_by_name(self, name):
        if name not in self._by_name:
            raise RecordNotFound(f"no email template {name!r}")
        return self._by_name[name]


@dataclass(frozen=True)
class Email:
    to: str
    subject: str
    body: str


class Mailer:
    """A mailer that keeps the emails instead of sending them."""

    def __init__(self):
        self.sent = []

    def send_email(self, *, to, subject, body):
        self.sent.append(Email(to, subject, body))


@dataclass
class App:
    """The handler `email_notification` and the objects that it uses."""

    users: Users = field(default_factory=Users)
    templates: EmailTemplates = field(default_factory=EmailTemplates)
    mailer: Mailer = field(default_factory=Mailer)
    email_log: list = field(default_factory=list)

    def email_notification(self, user_id, template_name, context=None):
        user = self.users.find(user_id)
        template = self.templates.find_by_name(template_name)
        body = template.body.format(name=user.name, **context or {})
        self.mailer.send_email(to=user.email, subject=template.subject, body=body)
        self.email_log.append((user_id, template_name))

    def register(self, *, email, name):
        """Register a user, and push a job that sends a welcome email."""
        user = self.users.create(email=email, name=name)
        notify(user.id, "welcome")
        return user


def notify(user_id, template_name):
    """Push a job that sends an email. Return the result of the push."""
    with open_producer() as producer:
        return producer.push(Job(jobtype="EmailNotification", args=[user_id, template_name]))


class EmailProcessor:
    """The article's worker in Go: it takes any args, and gets its dependencies as arguments."""

    def __init__(self, users, mailer):
        self._users = users
        self._mailer = mailer

    def process_email_job(self, *args):
        if len(args) < 2:
            raise ValueError(f"expected at least 2 args, got {len(args)}")
        user = self._users.find(int(args[0]))
        self._mailer.send_email(to=user.email, subject=args[1], body="")
