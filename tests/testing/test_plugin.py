"""The pytest plugin, as a user's tests get it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def run(tmp_path):
    """Runs a test file of a user's, in a folder that knows nothing of ours; pytest's last line."""

    def run(source, *options):
        (tmp_path / "test_users.py").write_text(textwrap.dedent(source), encoding="utf-8")
        ended = subprocess.run(
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
        return ended.stdout.splitlines()[-1]

    return run


def test_its_fixtures_are_there_without_a_word(run):
    said = run(
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

        def test_the_next_test_starts_afresh(faktory, unique_locks):
            faktory.refute_enqueued("Welcome")
            assert not unique_locks
        """
    )
    assert said.startswith("2 passed")


def test_it_imports_nothing_heavy_for_those_who_do_not_use_it(run):
    said = run(
        """
        import sys

        def test_nothing_of_ours_is_imported():
            heavy = {"faktory_unique", "pyfaktory", "pydantic", "redis", "pebble", "orjson"}
            assert "pytest_faktory_unique" in sys.modules
            assert heavy.isdisjoint(sys.modules)
        """
    )
    assert said.startswith("1 passed")


def test_it_can_be_switched_off(run):
    said = run("def test_it(faktory): pass", "-p", "no:faktory_unique")
    assert said.startswith("ERROR") or "1 error" in said
