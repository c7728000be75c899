"""The article's BulkProcessor: one job for each of many records."""

from __future__ import annotations

from dataclasses import dataclass, field

from faktory_unique import Job
from tests.article.app import RecordNotFound, open_producer


@dataclass
class Record:
    id: int
    status: str = "pending"


@dataclass
class Records:
    _by_id: dict = field(default_factory=dict)

    def create_list(self, number):
        new = [Record(len(self._by_id) + 1 + i) for i in range(number)]
        self._by_id |= {record.id: record for record in new}
        return new

    def process(self, record_id):
        """Process a record: the handler of BulkProcessor."""
        if record_id not in self._by_id:
            raise RecordNotFound(f"no record {record_id}")
        self._by_id[record_id].status = "processed"


def enqueue_each(record_ids):
    """Push one job for each record, as in the article."""
    with open_producer() as producer:
        for record_id in record_ids:
            producer.push(Job(jobtype="BulkProcessor", args=[record_id]))


def enqueue_batch(record_ids):
    """Push the jobs of all records in one command."""
    with open_producer() as producer:
        return producer.push_bulk(
            Job(jobtype="BulkProcessor", args=[record_id]) for record_id in record_ids
        )
