"""Mutations of a worker's reports: ACK, FAIL and requeue, done wrong."""

from __future__ import annotations

from faktory_unique import ReportStatus
from faktory_unique.locks import lifecycle, lock_ttl, server_rules
from faktory_unique.worker import requeue, reservation
from faktory_unique.worker.processor import JobProcessor
from tests.simulation.mutation import mutation


@mutation("ack_after_the_rerun_began", (reservation, "LATE_GRACE"))
def an_ack_is_sent_too_late(_grace):
    return 10_000


@mutation("fail_around_expiry", (reservation, "RESEND_GRACE"), (reservation, "LATE_GRACE"))
def a_fail_is_sent_again_after_its_grace(_grace):
    return 10_000


@mutation("single", (reservation.Reservation, "__init__"))
def acknowledged_before_it_is_done(init):
    def mutated(self, client, job, *given):
        init(self, client, job, *given)
        self.ack(job)

    return mutated


@mutation("requeue_at_once", (reservation, "copy_due_in"))
def a_requeue_under_the_same_jid(copy_due_in):
    return lambda job, delay, now: {**copy_due_in(job, delay, now), "jid": job["jid"]}


@mutation("requeue_after_a_failure", (reservation, "copy_due_in"))
def a_requeue_forgets_the_failures(copy_due_in):
    def mutated(*given):
        return {n: v for n, v in copy_due_in(*given).items() if n != "failure"}

    return mutated


@mutation("requeue", (reservation, "copy_due_in"))
def a_requeue_has_all_retries_again(copy_due_in):
    return lambda *given: {**copy_due_in(*given), "retry": 25}


@mutation("retry_later_on_the_last_attempt", (reservation, "failure_outcome"))
def a_last_attempts_copy_is_not_pushed_again(_outcome):
    return lambda _job: server_rules.FailureOutcome.RETRIED


@mutation("requeue", (reservation, "copy_due_in"))
def a_requeue_forgets_its_stamp(copy_due_in):
    return lambda job, delay, now: {**copy_due_in(job, delay, now), "custom": {}}


@mutation("requeue", (reservation.Reservation, "requeue"))
def acknowledged_before_its_copy_is_pushed(_requeue):
    def mutated(self, job, delay):
        status = self.ack(job)
        self._push(requeue.copy_due_in(job, delay, self._client.now()))
        return status

    return mutated


@mutation("requeue", (reservation.Reservation, "_push"))
def a_copy_whose_push_is_unknown_counts_as_pushed(push):
    def mutated(self, copy):
        status = push(self, copy)
        return ReportStatus.ACCEPTED if status is ReportStatus.UNKNOWN else status

    return mutated


@mutation("requeue", (JobProcessor, "_requeue"))
def a_requeue_job_is_acknowledged_and_no_copy_pushed(_requeue):
    return lambda self, reservation, _delay: self._report(reservation, None)


@mutation(
    "death",
    (lifecycle, "failure_outcome"),
    (lock_ttl, "failure_outcome"),
    (reservation, "failure_outcome"),
)
def every_failure_counts_as_retried(_outcome):
    return lambda _job: server_rules.FailureOutcome.RETRIED
