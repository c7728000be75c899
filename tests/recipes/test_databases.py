"""The recipes that push after the commit: a rollback pushes nothing, a commit pushes once."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from sqlalchemy import event

from tests.recipes.page import copied
from tests.recipes.workers import Worker


class TestSQLAlchemy:
    @pytest.fixture
    def orders(self, recipe, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # the folder of its database
        orders = recipe("orders.py")
        yield orders
        orders.module.engine.dispose()

    def test_rollback_pushes_nothing(self, orders, jobs_left):
        def refuse(session):
            raise RuntimeError("no stock")

        sessions = orders.module.Session
        event.listen(sessions, "before_commit", refuse)
        try:
            with pytest.raises(RuntimeError, match="no stock"):
                orders.module.place_order(5)
        finally:
            event.remove(sessions, "before_commit", refuse)
        assert jobs_left() == 0
        assert not list(orders.module.unique.locks())
        orders.module.place_order(5)
        assert jobs_left() == 1

    def test_commit_pushes_once_and_worker_sees_the_row(self, orders, all_done):
        orders.work()
        orders.module.place_order(5)
        all_done()
        assert orders.lines() == ["receipt for order 1: 5"]

    def test_transaction_without_jobs_needs_no_faktory(self, orders, monkeypatch):
        monkeypatch.setenv("FAKTORY_URL", "tcp://127.0.0.1:1")
        with orders.module.unit_of_work() as (session, _):
            session.add(orders.module.Order(total=5))

    def test_session_event_also_fires_for_a_savepoint(self, orders):
        """So the page does not use the event."""
        commits = []
        with orders.module.Session(orders.module.engine) as session:
            event.listen(session, "after_commit", commits.append)
            with session.begin_nested():
                session.add(orders.module.Order(total=5))
            assert commits
            session.rollback()


SETTINGS = """
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
"""

MODELS = """
from django.db import models

class Order(models.Model):
    total = models.IntegerField()
"""

BEGINNING = """
import django
django.setup()
from django.db import connection, transaction
from faktory_unique import Client
from faktory_unique.testing import sizes
from shop.models import Order
from shop.orders import place_order, unique

def jobs():
    with Client() as client:
        return sum(sizes(client).queues.values())
"""


class TestDjango:
    @pytest.fixture
    def project(self, tmp_path):
        """Create a project with the app `shop`, and the page's two files in it."""
        for name in ("shop/orders.py", "shop/management/commands/work.py"):
            copied(name, tmp_path)
        for folder in ("shop", "shop/management", "shop/management/commands"):
            (tmp_path / folder / "__init__.py").touch()
        (tmp_path / "settings.py").write_text(SETTINGS, encoding="utf-8")
        (tmp_path / "shop" / "models.py").write_text(MODELS, encoding="utf-8")
        return tmp_path

    @pytest.fixture
    def django(self, project, servers, monkeypatch):
        """`django(code)` runs code in the project. Django keeps its state in the process."""
        monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "settings")

        def run(code):
            code = BEGINNING + textwrap.dedent(code)
            ended = subprocess.run(
                [sys.executable, "-c", code],
                cwd=project,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr

        run("with connection.schema_editor() as editor: editor.create_model(Order)")
        return run

    def test_rollback_pushes_nothing(self, django):
        django("""
            try:
                with transaction.atomic():
                    place_order(5)
                    raise RuntimeError("no stock")
            except RuntimeError:
                pass
            assert Order.objects.count() == 0
            assert jobs() == 0
            assert not list(unique.locks())
            with transaction.atomic():
                place_order(5)
                assert jobs() == 0, "before the commit"
            assert jobs() == 1
        """)

    def test_commit_pushes_once_and_worker_sees_the_row(
        self, django, project, monkeypatch, all_done
    ):
        printed = []
        # Like `python manage.py work`; the project is in the folder.
        monkeypatch.setenv("PYTHONPATH", str(project))
        worker = Worker(["-m", "django", "work"], project, printed)
        try:
            django("place_order(5)")
            all_done()
        finally:
            worker.end()
        assert [each.line for each in printed] == ["receipt for order 1: 5"]
