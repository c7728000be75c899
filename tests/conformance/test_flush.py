"""FLUSH: it deletes all stored jobs; the server's own memory stays (storage/redis.go:249)."""

import pytest


@pytest.fixture
def flushed(worker):
    """A worker that had fetched job-number-1 before FLUSH."""
    worker.push(queue="a")
    worker.push("job-number-2", queue="b")
    worker.push("job-number-3", at="2090-01-01T00:00:00Z")
    worker.fetch("a")
    assert worker.ask("FLUSH") == "+OK"
    return worker


def test_all_is_gone(flushed):
    """Queues and sets are empty; the queues are still known."""
    assert (flushed.sets(), flushed.queues()) == ({}, {"a": 0, "b": 0})


def test_totals_are_reset(worker):
    """The totals of INFO are 0 again."""
    worker.push()
    worker.fetch()
    worker.fail()
    worker.ask("FLUSH")
    faktory = worker.info()["faktory"]
    assert (faktory["total_processed"], faktory["total_failures"]) == (0, 0)


def test_reservation_stays(flushed):
    """The fetched job is still reserved, in memory."""
    assert flushed.busy() == 1


def test_late_ack(flushed):
    """A late ACK is +OK and counts."""
    assert flushed.ack() == "+OK"
    assert (flushed.busy(), flushed.info()["faktory"]["total_processed"]) == (0, 1)


def test_late_fail(flushed):
    """A late FAIL is +OK, but the job is gone: neither retried nor counted."""
    assert flushed.fail() == "+OK"
    assert (flushed.busy(), flushed.sets()) == (0, {})
    faktory = flushed.info()["faktory"]
    assert (faktory["total_processed"], faktory["total_failures"]) == (0, 0)


def test_second_late_fail(flushed):
    """A second late FAIL finds no job."""
    flushed.fail()
    assert flushed.fail() == "-ERR Job not found job-number-1"


def test_job_again(flushed):
    """The same job can be pushed, fetched and reserved again."""
    flushed.push()
    flushed.fetch()
    assert (flushed.busy(), flushed.sets()) == (1, {"working": 1})
    assert flushed.fail() == "+OK"
    assert flushed.sets() == {"retries": 1}


def test_paused_queue(worker):
    """A paused queue stays paused."""
    worker.push(queue="a")
    worker.ask("QUEUE PAUSE a")
    worker.ask("FLUSH")
    worker.push(queue="a")
    worker.push("job-number-2", queue="b")
    assert worker.fetch("a", "b")["jid"] == "job-number-2"
    worker.ask("QUEUE RESUME a")
    assert worker.fetch("a", "b")["jid"] == "job-number-1"


def test_workers_stay(worker):
    """Workers stay known, in their state."""
    worker.beat(worker.wid, current_state="quiet")
    worker.ask("FLUSH")
    assert worker.beat(worker.wid) == '{"state":"quiet"}'


def test_retry_of_push_stays(worker):
    """The `retry` of the last PUSH stays the default of the next one."""
    worker.ask('PUSH {"jid":"job-number-0","jobtype":"x","args":[],"retry":3}')
    worker.ask("FLUSH")
    worker.ask('PUSH {"jid":"job-number-1","jobtype":"x","args":[]}')
    assert worker.fetch()["retry"] == 3
