"""MUTATE: clear, kill, discard and requeue on each set (server/mutate.go)."""

import pytest

from .wire import compact, job

LATER = "2090-01-01T00:00:00Z"


def fill(worker, target):
    """Put job-number-1 and job-number-2 into a set."""
    for jid in ("job-number-1", "job-number-2"):
        retry = -1 if target == "dead" else 25
        worker.push(jid, retry=retry, at=LATER if target == "scheduled" else "")
        if target != "scheduled":
            worker.fetch()
            worker.fail(jid)


targets = pytest.mark.parametrize("target", ["retries", "dead", "scheduled"])


@targets
@pytest.mark.parametrize(
    ("command", "sets", "queued"),
    [
        ("clear", [], 0),
        ("discard", [], 0),
        ("kill", ["dead"], 0),
        ("requeue", [], 2),
    ],
)
def test_all_of_a_set(worker, target, command, sets, queued):
    """Without a filter, a command applies to the whole set."""
    fill(worker, target)
    assert worker.mutate(command, target) == "+OK"
    assert worker.sets() == dict.fromkeys(sets, 2)
    assert worker.queues().get("default", 0) == queued


@targets
@pytest.mark.parametrize(
    ("command", "left", "queued"),
    [("clear", 0, 0), ("discard", 1, 0), ("kill", 1, 0), ("requeue", 1, 1)],
)
def test_one_of_a_set(worker, target, command, left, queued):
    """With a filter, a command applies to matching jobs; clear ignores the filter."""
    fill(worker, target)
    assert worker.mutate(command, target, jids=["job-number-1"]) == "+OK"
    left += command == "kill" and target == "dead"
    assert worker.sets().get(target, 0) == left
    assert worker.queues().get("default", 0) == queued


@pytest.mark.parametrize("command", ["clear", "discard", "kill", "requeue"])
def test_empty_set(line, command):
    """An empty set is no error."""
    assert line.mutate(command, "retries") == "+OK"
    assert (line.sets(), line.queues()) == ({}, {})


# ---- the payload afterwards ------------------------------------------------------------------


def test_requeue_of_a_retry(worker):
    """A requeued retry keeps its failure, and the time at which it was enqueued."""
    worker.push()
    first = worker.fetch()
    worker.fail()
    worker.mutate("requeue", "retries")
    again = worker.fetch()
    assert again["failure"]["retry_count"] == 0
    assert again["enqueued_at"] == first["enqueued_at"]


def test_requeue_of_a_kill(worker):
    """A killed job can be requeued; it has no failure."""
    worker.push(at=LATER)
    worker.mutate("kill", "scheduled")
    worker.mutate("requeue", "dead")
    job_again = worker.fetch()
    assert ("failure" in job_again, job_again["at"]) == (False, LATER)


def test_requeue_of_a_dead_job_fails_again(worker):
    """A dead job that is requeued dies at its next failure; its count goes on."""
    worker.push(retry=-1)
    worker.fetch()
    worker.fail()
    worker.mutate("requeue", "dead")
    worker.fetch()
    worker.fail()
    assert worker.sets() == {"dead": 1}
    worker.mutate("requeue", "dead")
    assert worker.fetch()["failure"]["retry_count"] == 1


def test_requeue_into_a_removed_queue(worker):
    """Requeueing makes a queue that was removed."""
    fill(worker, "retries")
    worker.ask("QUEUE REMOVE *")
    worker.mutate("requeue", "retries")
    assert worker.queues() == {"default": 2}


def test_requeue_into_a_bad_queue(worker):
    """A job with a bad queue name stays in its set; the error has the reason."""
    worker.push(at=LATER, queue="a b")
    assert worker.mutate("requeue", "scheduled") == (
        r"-ERR queue names must match \A[a-zA-Z0-9._-]+\z"
    )
    assert worker.sets() == {"scheduled": 1}


def test_kill_of_a_job_with_a_bad_queue(worker):
    """A kill ignores the job's queue."""
    worker.push(at=LATER, queue="a b")
    assert worker.mutate("kill", "scheduled") == "+OK"
    assert worker.sets() == {"dead": 1}


def test_mutations_are_not_counted(worker):
    """A kill or requeue counts neither as processed nor as failed."""
    worker.push(at=LATER)
    worker.mutate("kill", "scheduled")
    worker.mutate("requeue", "dead")
    faktory = worker.info()["faktory"]
    assert (faktory["total_processed"], faktory["total_failures"]) == (0, 0)


def test_many_jobs(worker):
    """A mutation applies to hundreds of jobs."""
    jobs = [job(f"job-number-{number}", at=LATER) for number in range(500)]
    worker.ask(f"PUSHB {compact(jobs)}")
    worker.mutate("kill", "scheduled", regexp="*-number-1*")
    assert worker.sets() == {"scheduled": 389, "dead": 111}
