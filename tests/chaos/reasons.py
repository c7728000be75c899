"""Reasons that explain why two jobs of one key were live or ran, each with its description."""

from __future__ import annotations

REASONS = {
    "redis_forgot": "Redis lost all locks after this lock was last set",
    "unguarded": "one of the two was pushed without a lock: no store, or a lease to replace",
    "push_unknown": "a push had no answer: its lease ran out, or its job was sent again",
    "producer_interrupted": "its producer was stopped or killed during the push, past its lease",
    "confirmed_too_late": "its producer could not confirm it within its lease, and reported that",
    "waited_longer_than_ttl": "the job waited in its queue for longer than ttl",
    "store_error": "the store failed the lock's renewal or confirm, and its earlier TTL ran out",
    "requeue_unknown": "a copy was pushed, and the ACK of the first job had no answer",
    "reservation_expired": "its reservation expired without an answered ACK",
    "release_unknown": "the release before its start had no answer, so the job was requeued",
    "replaced_concurrently": "two jobs replaced the same job, and the other has the lock",
    "replaced_job_ended": "the job that it replaces had ended, and another acquired the lock first",
    "replace_unknown": "its producer could not write the replacement: stopped, killed or no answer",
    "fetched_before_replace": "a worker fetched it before the replacement was written",
    "store_down_at_fetch": "the store did not answer at FETCH whether it was replaced",
    "tombstone_expired": "it was replaced, and fetched after its tombstone had expired",
    "ran_past_reservation": "a handler ran until its run lock had expired",
    "worker_stopped": "a worker was stopped until its run lock had expired, then ran the job",
    "stopped_at_job_end": "its worker had to stop, and did not learn that the job was done",
}
