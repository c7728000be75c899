"""The article's "Testing Batch Job Completion": many records, one job for each."""

from __future__ import annotations

import pytest

from tests.article.bulk_processor import Records, enqueue_batch, enqueue_each


@pytest.fixture
def records():
    return Records()


@pytest.fixture
def consumer(faktory, records):
    new = faktory.consumer()
    new.register("BulkProcessor", records.process)
    return new


@pytest.fixture(params=[enqueue_each, enqueue_batch], ids=["in a loop", "push_bulk"])
def enqueue(request):
    return request.param


class TestBulkProcessor:
    """RSpec.describe BulkProcessorWorker."""

    def test_enqueues_one_job_per_record(self, faktory, records, enqueue):
        ids = [record.id for record in records.create_list(5)]
        enqueue(ids)
        jobs = faktory.jobs_for("BulkProcessor")
        assert [job["args"] for job in jobs] == [[record_id] for record_id in ids]

    def test_processes_all_records(self, faktory, records, consumer, enqueue):
        """context 'in inline mode'."""
        pending = records.create_list(3)
        with faktory.inline(consumer):
            enqueue([record.id for record in pending])
        assert [record.status for record in pending] == ["processed"] * 3


def test_failing_record_delays_no_other_record(faktory, records, consumer):
    pending = records.create_list(2)
    with faktory.inline(consumer):
        enqueue_batch([pending[0].id, 999, pending[1].id])
    assert [record.status for record in pending] == ["processed"] * 2
    assert [job["args"] for job in faktory.retries] == [[999]]


def test_push_bulk_returns_a_result_for_each_job(faktory, records):
    bulk = enqueue_batch([record.id for record in records.create_list(3)])
    assert [result.jid for result in bulk.pushed] == [job["jid"] for job in faktory.jobs]
