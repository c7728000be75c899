"""The pytest plugin, as it works in the tests of a user."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a user's test file in another folder: pytest's last line."""

    def run(source, *options):
        (tmp_path / "test_users.py").write_text(textwrap.dedent(source), encoding="utf-8")
        process = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-W",
                "error",
                "-p",
                "no:cacheprovider",
                *options,
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return process.stdout.splitlines()[-1]

    return run


def test_fixtures_need_no_configuration(run):
    last_line = run(
        """
        from faktory_unique import Client, Job, Policy, Producer, Unique

        def sign_up(name):
            with Client() as client, Unique(default=Policy()) as unique:
                return Producer(client, [unique]).push(Job(jobtype="Welcome", args=[name]))

        def test_one_welcome(faktory, unique_locks):
            first = sign_up("alice")
            sign_up("alice")
            faktory.assert_enqueued("Welcome", args=["alice"], count=1)
            assert [lock.owner for lock in unique_locks.values()] == [first.jid]

        def test_the_next_test_starts_empty(faktory, unique_locks):
            faktory.refute_enqueued("Welcome")
            assert not unique_locks
        """
    )
    assert last_line.startswith("2 passed")


def test_unused_plugin_imports_nothing_heavy(run):
    last_line = run(
        """
        import sys

        def test_nothing_of_ours_is_imported():
            heavy = {"faktory_unique", "pyfaktory", "pydantic", "redis", "pebble", "orjson"}
            assert "pytest_faktory_unique" in sys.modules
            assert heavy.isdisjoint(sys.modules)
        """
    )
    assert last_line.startswith("1 passed")


def test_plugin_can_be_disabled(run):
    last_line = run("def test_it(faktory): pass", "-p", "no:faktory_unique")
    assert last_line.startswith("ERROR") or "1 error" in last_line
