"""Scheduled jobs and retries that become due: one set-up for all, which takes 12 seconds."""

import pytest

from .conftest import KINDS
from .wire import compact, job

LATER = 8_000  # seconds
OVERFLOWN = {"retry_count": 310, "failed_at": "f"}  # its retry is due in the year 1738


class Promoted:
    """The sets before, and the queues after all short times have come."""

    def __init__(self, server):
        server.avoid_tasks(5)
        worker = server.worker()
        self.worker = worker
        tasks = worker.info()["faktory"]["tasks"]
        self.enqueued_before = {name: tasks[name]["enqueued"] for name in ("Scheduled", "Retries")}
        at = {seconds: server.time(seconds) for seconds in (0.5, 1.5, 1.7, 2, LATER)}
        self.at = at
        pushed = [
            job("job-plain-1", queue="plain", at=at[1.5], custom={"b": 1, "a": 2}, created_at="c"),
            job("job-claims-1", queue="claims", at=at[1.5], enqueued_at="1999"),
            job("job-lost-1", queue="a b", at=at[1.5]),
            job("job-order-3", queue="order", at=at[2]),
            job("job-order-2", queue="order", at=at[1.7]),
            job("job-order-1", queue="order", at=at[0.5]),
            job("job-tie-b", queue="tie", at=at[2]),
            job("job-tie-a", queue="tie", at=at[2]),
            job("job-paused-1", queue="paused"),
            job("job-paused-2", queue="paused", at=at[1.5]),
            job("job-later-1", queue="later", at=at[LATER]),
            job("job-retry-1", queue="retry", retry=10**7, failure=OVERFLOWN),
        ]
        assert worker.ask(f"PUSHB {compact(pushed)}") == "{}"
        worker.ask("QUEUE PAUSE paused")
        worker.fetch("retry")
        worker.fail("job-retry-1", errtype="E")
        self.sets_before = worker.sets()
        server.until(lambda: worker.sets() == {"scheduled": 1}, 12)
        self.info = worker.info()["faktory"]
        self.after = server.time()


@pytest.fixture(scope="module", params=KINDS)
def promoted(request):
    server = request.getfixturevalue(f"{request.param}_server")
    server.clean()
    yield Promoted(server)
    server.clean()
    server.end_lines()


def test_before(promoted):
    """A scheduled job and a retry are in their sets until they are due."""
    assert promoted.sets_before == {"scheduled": 10, "retries": 1}


def test_after(promoted):
    """A due job is in its queue; a job with a bad queue name is lost."""
    sizes = {"plain": 1, "claims": 1, "order": 3, "tie": 2, "paused": 2, "retry": 1}
    assert promoted.info["queues"] == sizes


@pytest.mark.parametrize(("task", "count"), [("Scheduled", 8), ("Retries", 1)])
def test_counts(promoted, task, count):
    """INFO counts enqueued jobs, without lost ones."""
    now = promoted.info["tasks"][task]["enqueued"]
    assert now - promoted.enqueued_before[task] == count


def test_payload(promoted):
    """A promoted job has the time at which it was enqueued, and keeps its `at`."""
    payload = promoted.worker.fetch("plain")
    assert promoted.at[1.5][:-6] <= payload.pop("enqueued_at") <= promoted.after
    assert payload == job(
        "job-plain-1",
        queue="plain",
        at=promoted.at[1.5],
        custom={"a": 2, "b": 1},
        created_at="c",
    )


def test_enqueued_at_of_the_client(promoted):
    """The client's enqueued_at is overwritten."""
    assert promoted.worker.fetch("claims")["enqueued_at"] > promoted.at[1.5][:-6]


def test_order(promoted):
    """Jobs are enqueued in the order in which they are due."""
    assert [promoted.worker.fetch("order")["jid"][-1] for _ in range(3)] == ["1", "2", "3"]


def test_tie(promoted):
    """Jobs due at the same time are enqueued in the order of their bytes."""
    assert [promoted.worker.fetch("tie")["jid"][-1] for _ in range(2)] == ["a", "b"]


def test_into_a_paused_queue(promoted):
    """A paused queue accepts jobs that become due."""
    promoted.worker.ask("QUEUE RESUME paused")
    assert [promoted.worker.fetch("paused")["jid"][-1] for _ in range(2)] == ["1", "2"]


def test_retry(promoted):
    """A promoted retry keeps its failure, and has a new enqueued_at."""
    payload = promoted.worker.fetch("retry")
    failure = payload["failure"]
    assert failure.pop("next_at").startswith("1738-")
    assert failure == {
        "failed_at": "f",
        "message": "unknown",
        "errtype": "E",
        "retry_count": 311,
        "remaining": 0,
    }
    assert payload["enqueued_at"] > promoted.at[0.5][:-6]
