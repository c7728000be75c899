"""Fan-out in bulk, over a connection that breaks, too."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from faktory_unique import Client, Job, Producer
from faktory_unique.unique.batch import CHUNK
from tests.recipes.breaking import Breaking

USERS = range(3_500)


@pytest.fixture
def newsletter(recipe):
    return recipe("newsletter.py")


def test_thousands(newsletter, jobs_left, capsys):
    bulk = newsletter.module.send_issue(1, [*USERS, 5])
    assert capsys.readouterr().out == "3500 pushed, 1 there already, 0 refused\n"
    assert (len(bulk.results), len(bulk.pushed), len(bulk.duplicates)) == (3_501, 3_500, 1)
    assert bulk.results[-1].jid == bulk.results[5].jid
    newsletter.module.send_issue(1, USERS)
    assert capsys.readouterr().out == "0 pushed, 3500 there already, 0 refused\n"
    assert jobs_left() == 3_500


def test_those_already_there_are_told(newsletter, jobs_left, capsys):
    with Client() as client:
        producer = Producer(client, [newsletter.module.unique])
        producer.push(Job(jobtype="Newsletter", args=[1, 3]))
    newsletter.module.send_issue(1, USERS)
    assert capsys.readouterr().out == "3499 pushed, 1 there already, 0 refused\n"
    assert jobs_left() == 3_500


def test_a_connection_that_breaks_loses_nobody(
    newsletter, monkeypatch, faktory_url, jobs_left, capsys, all_done
):
    with Breaking(urlsplit(faktory_url).port, after_pushes=2) as breaking:
        monkeypatch.setenv("FAKTORY_URL", breaking.url)
        bulk = newsletter.module.send_issue(1, USERS)
        monkeypatch.setenv("FAKTORY_URL", faktory_url)
    assert breaking.broken == 1
    # A chunk is known to be there; the next is sent again, and may be there twice.
    assert capsys.readouterr().out == f"{len(USERS) - CHUNK} pushed, 0 there already, 0 refused\n"
    assert {d.submitted_jid for d in bulk.duplicates} == {d.jid for d in bulk.duplicates}
    assert jobs_left() == len(USERS) + CHUNK
    newsletter.work()
    all_done(seconds=90)
    assert set(newsletter.lines()) == {f"issue 1 to {user_id}" for user_id in USERS}
