"""The recipe for fan-out in bulk, also over a connection that breaks."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from faktory_unique import Client, Job, Producer
from faktory_unique.unique.batch import CHUNK_SIZE
from tests.recipes.lossy_proxy import LossyProxy

USERS = range(3_500)


@pytest.fixture
def newsletter(recipe):
    return recipe("newsletter.py")


def test_bulk_pushes_thousands_once(newsletter, jobs_left, capsys):
    bulk = newsletter.module.send_issue(1, [*USERS, 5])
    assert capsys.readouterr().out == "3500 pushed, 1 already queued, 0 refused\n"
    assert (len(bulk.results), len(bulk.pushed), len(bulk.duplicates)) == (3_501, 3_500, 1)
    assert bulk.results[-1].jid == bulk.results[5].jid
    newsletter.module.send_issue(1, USERS)
    assert capsys.readouterr().out == "0 pushed, 3500 already queued, 0 refused\n"
    assert jobs_left() == 3_500


def test_bulk_counts_jobs_that_are_already_queued(newsletter, jobs_left, capsys):
    with Client() as client:
        producer = Producer(client, [newsletter.module.unique])
        producer.push(Job(jobtype="Newsletter", args=[1, 3]))
    newsletter.module.send_issue(1, USERS)
    assert capsys.readouterr().out == "3499 pushed, 1 already queued, 0 refused\n"
    assert jobs_left() == 3_500


def test_broken_connection_loses_no_job(
    newsletter, monkeypatch, faktory_url, jobs_left, capsys, all_done
):
    with LossyProxy(urlsplit(faktory_url).port, after_pushes=2) as proxy:
        monkeypatch.setenv("FAKTORY_URL", proxy.url)
        bulk = newsletter.module.send_issue(1, USERS)
        monkeypatch.setenv("FAKTORY_URL", faktory_url)
    assert proxy.lost == 1
    # The first chunk is known to be queued; the second is sent again, and may be queued twice.
    assert (
        capsys.readouterr().out
        == f"{len(USERS) - CHUNK_SIZE} pushed, 0 already queued, 0 refused\n"
    )
    assert {d.submitted_jid for d in bulk.duplicates} == {d.jid for d in bulk.duplicates}
    assert jobs_left() == len(USERS) + CHUNK_SIZE
    newsletter.work()
    all_done()
    assert set(newsletter.lines()) == {f"issue 1 to {user_id}" for user_id in USERS}
