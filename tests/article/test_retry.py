"""The article's "Testing Failure Handling", "Retry Configuration".

`retry_job delay: 60` is `RetryLater` here; docs/testing.md has a test of it. These tests show two
other ways. A handler can push a copy of its job, as `DataSync` does. That is a normal push, so it
does not suit a unique job: the copy is a duplicate. A fetch middleware can return `Requeue(60)`
before the job runs, which keeps the lock.
"""

from __future__ import annotations

from datetime import datetime

import pytest

from faktory_unique import Producer
from tests.article.data_sync import (
    DataSync,
    InvalidDataError,
    ServiceUnavailable,
    SyncService,
    WaitForService,
    data_sync,
)

ENTITY_ID = 42


@pytest.fixture
def service():
    return SyncService()


@pytest.fixture
def producer(faktory):
    return Producer(faktory.client())


@pytest.fixture
def worker(service, producer):
    return DataSync(service, producer)


@pytest.fixture
def consumer(faktory, worker):
    new = faktory.consumer(["sync"])
    new.register("DataSync", worker)
    return new


def due_in(job, clock):
    return (datetime.fromisoformat(job["at"]) - clock.now()).total_seconds()


class TestWhenServiceIsUnavailable:
    """context 'when service is unavailable'."""

    @pytest.fixture(autouse=True)
    def unavailable(self, service):
        service.failing = ServiceUnavailable("503 Service Unavailable")

    def test_enqueues_retry(self, faktory, worker):
        worker("order", ENTITY_ID)
        assert faktory.scheduled[0]["args"] == ["order", ENTITY_ID]
        assert due_in(faktory.scheduled[0], faktory.clock) == pytest.approx(60, abs=5)

    def test_uses_no_retry_of_faktory(self, faktory, producer, consumer):
        producer.push(data_sync("order", ENTITY_ID))
        assert faktory.perform_one(consumer)
        assert faktory.retries == []

    def test_syncs_when_the_service_is_back(self, faktory, producer, consumer, service):
        producer.push(data_sync("order", ENTITY_ID))
        faktory.drain(consumer)
        service.failing = None
        faktory.advance(65)  # the server looks every five seconds for what is due
        faktory.drain(consumer)
        assert service.synced == [("order", ENTITY_ID)]

    def test_middleware_requeues_without_running(self, faktory, producer, service):
        """The same delay, decided before the handler runs."""
        consumer = faktory.consumer(["sync"], middleware=[WaitForService(service)])
        consumer.register("DataSync", DataSync(service, producer))
        producer.push(data_sync("order", ENTITY_ID))
        assert not faktory.perform_one(consumer).ran
        assert due_in(faktory.scheduled[0], faktory.clock) == pytest.approx(60, abs=5)


class TestWhenDataIsInvalid:
    """context 'when data is invalid'."""

    @pytest.fixture(autouse=True)
    def invalid(self, service):
        service.failing = InvalidDataError("Missing required field")

    def test_logs_the_error_and_does_not_raise(self, worker):
        worker("order", ENTITY_ID)
        assert worker.error_log == [("order", ENTITY_ID, "Missing required field")]

    def test_faktory_counts_the_job_as_done(self, faktory, producer, consumer):
        """The article's "job is done (as a failure)"."""
        producer.push(data_sync("order", ENTITY_ID))
        faktory.drain(consumer, reraise=True)
        assert (faktory.jobs, faktory.retries, faktory.dead) == ([], [], [])


class TestWhenUnexpectedErrorOccurs:
    """context 'when unexpected error occurs'."""

    @pytest.fixture(autouse=True)
    def unexpected(self, service):
        service.failing = RuntimeError("Unexpected failure")

    @pytest.fixture
    def failed(self, faktory, producer, consumer):
        """A job that has failed once."""
        producer.push(data_sync("order", ENTITY_ID))
        return faktory.perform_one(consumer)

    def test_raises_to_trigger_faktory_retry(self, worker):
        with pytest.raises(RuntimeError, match="Unexpected failure"):
            worker("order", ENTITY_ID)

    def test_job_waits_for_its_retry_with_the_error(self, faktory, failed):
        (job,) = faktory.retries
        error = {name: job["failure"][name] for name in ("errtype", "message")}
        assert error == {"errtype": "RuntimeError", "message": "Unexpected failure"}

    def test_five_retries_are_left(self, faktory, failed):
        """`retry: 5`: the first failure is not a retry, and uses none."""
        failure = faktory.retries[0]["failure"]
        assert (failure["retry_count"], failure["remaining"]) == (0, 5)

    def test_captures_lines_of_backtrace_on_failure(self, faktory, failed):
        """At most ten lines: `backtrace: 10` in the article, a field of Job here."""
        backtrace = faktory.retries[0]["failure"]["backtrace"]
        assert 0 < len(backtrace) <= 10
        assert "raise self.failing" in backtrace[-1]

    def test_retry_runs_when_it_is_due(self, faktory, failed, consumer, service):
        service.failing = None
        faktory.advance(minutes=1)  # the first backoff is 15 to 44 seconds
        faktory.drain(consumer)
        assert service.synced == [("order", ENTITY_ID)]

    def test_retry_does_not_run_before_it_is_due(self, faktory, failed, consumer):
        faktory.advance(14)
        assert faktory.drain(consumer) == []

    def test_drain_can_reraise_the_exception(self, faktory, producer, consumer):
        producer.push(data_sync("order", ENTITY_ID))
        with pytest.raises(RuntimeError, match="Unexpected failure"):
            faktory.drain(consumer, reraise=True)
