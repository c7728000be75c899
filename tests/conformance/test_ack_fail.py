"""ACK and FAIL: of which job, by which client, how often (manager/working.go, manager/retry.go)."""

import pytest


@pytest.fixture
def working(worker):
    """A worker that has job-number-1."""
    worker.push()
    worker.fetch()
    return worker


def totals(line):
    faktory = line.info()["faktory"]
    return faktory["total_processed"], faktory["total_failures"]


def test_ack(working):
    """An acknowledged job is gone."""
    assert working.ack() == "+OK"
    assert (working.sets(), working.busy(), totals(working)) == ({}, 0, (1, 0))


def test_fail(working):
    """A failed job is in the retries; it counts as processed, too."""
    assert working.fail() == "+OK"
    assert (working.sets(), working.busy(), totals(working)) == ({"retries": 1}, 0, (1, 1))


def test_ack_of_a_job_in_a_queue(worker):
    """An ACK of a job that was not fetched is +OK and does nothing."""
    worker.push()
    assert worker.ack() == "+OK"
    assert (worker.queues(), totals(worker)) == ({"default": 1}, (0, 0))


def test_fail_of_a_job_in_a_queue(worker):
    """A FAIL of a job that was not fetched is an error."""
    worker.push()
    assert worker.fail() == "-ERR Job not found job-number-1"
    assert (worker.queues(), totals(worker)) == ({"default": 1}, (0, 0))


@pytest.mark.parametrize("role", ["worker", "producer"])
def test_ack_by_another(server, working, role):
    """Any client may acknowledge a job, even a producer."""
    assert getattr(server, role)().ack() == "+OK"
    assert working.sets() == {}


@pytest.mark.parametrize("role", ["worker", "producer"])
def test_fail_by_another(server, working, role):
    """Any client may fail a job, even a producer."""
    assert getattr(server, role)().fail() == "+OK"
    assert working.sets() == {"retries": 1}


def test_ack_twice(working):
    """A second ACK is +OK and is not counted."""
    assert [working.ack(), working.ack()] == ["+OK", "+OK"]
    assert totals(working) == (1, 0)


def test_fail_twice(working):
    """A second FAIL finds no job."""
    assert [working.fail(), working.fail()] == ["+OK", "-ERR Job not found job-number-1"]
    assert totals(working) == (1, 1)


def test_ack_after_fail(working):
    """An ACK after a FAIL is +OK, and the job stays in the retries."""
    assert [working.fail(), working.ack()] == ["+OK", "+OK"]
    assert working.sets() == {"retries": 1}


def test_fail_after_ack(working):
    """A FAIL after an ACK finds no job."""
    assert [working.ack(), working.fail()] == ["+OK", "-ERR Job not found job-number-1"]
    assert working.sets() == {}
