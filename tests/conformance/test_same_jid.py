"""Two jobs with one jid: the server reserves by jid alone (manager/manager.go:176)."""

import pytest


@pytest.fixture
def first(server):
    """A worker that has the first copy, with args of [1]."""
    worker = server.worker()
    worker.push(args=[1])
    worker.fetch()
    return worker


@pytest.fixture
def second(server, first):
    """Another worker, which has the second copy, with args of [2]."""
    worker = server.worker()
    worker.push(args=[2])
    worker.fetch()
    return worker


def test_one_reservation_for_two_copies(second):
    """The working set has two entries, and the memory has one."""
    assert (second.sets(), second.busy()) == ({"working": 2}, 1)


def test_first_ack_ends_the_second_reservation(first, second):
    """The first worker's ACK ends the second reservation; the second worker's FAIL finds no job."""
    assert first.ack() == "+OK"
    assert second.fail() == "-ERR Job not found job-number-1"


def test_acknowledged_twice(first, second):
    """Both ACKs are +OK; one is counted, and one entry stays in the working set for ever."""
    assert [first.ack(), second.ack()] == ["+OK", "+OK"]
    assert (first.sets(), first.busy()) == ({"working": 1}, 0)
    assert first.info()["faktory"]["total_processed"] == 1


def test_first_fail_fails_the_second_copy(first, second):
    """The first worker's FAIL puts the second copy into the retries."""
    assert first.fail() == "+OK"
    first.mutate("requeue", "retries")
    assert first.fetch()["args"] == [2]


def test_second_ack_after_the_first_fail(first, second):
    """The second worker's ACK is +OK and does nothing: its job is in the retries."""
    first.fail()
    assert second.ack() == "+OK"
    assert second.sets() == {"working": 1, "retries": 1}


def test_late_fail_steals_the_reservation_of_the_next_run(server, first):
    """A worker's second FAIL fails the run that another worker has begun since."""
    first.fail()
    first.mutate("requeue", "retries")
    other = server.worker()
    other.fetch()
    assert first.fail(errtype="Late") == "+OK"
    assert other.fail() == "-ERR Job not found job-number-1"
    assert other.sets() == {"retries": 1}


def test_late_ack_ends_the_next_run(server, first):
    """A worker's late ACK ends the reservation of the run that another worker has begun."""
    first.fail()
    first.mutate("requeue", "retries")
    other = server.worker()
    other.fetch()
    assert first.ack() == "+OK"
    assert other.fail() == "-ERR Job not found job-number-1"
    assert other.sets() == {}


def test_copy_in_a_queue(first):
    """An ACK does not affect a copy that waits in a queue."""
    first.push(args=[2])
    assert first.ack() == "+OK"
    assert first.fetch()["args"] == [2]


def test_same_worker_has_both(first):
    """A single worker with both copies has the same problem."""
    first.push(args=[2])
    first.fetch()
    assert [first.ack(), first.fail()] == ["+OK", "-ERR Job not found job-number-1"]
