"""Scenarios of workers: what becomes of a job that they have fetched."""

from __future__ import annotations

from faktory_unique import Drop, Middleware, RetryLater
from tests.simulation.faults import Fault
from tests.simulation.scenario import failing, lasting, once, requeuing, scenario


@scenario(failing(2))
def retry(world):
    world.process("producer", once)
    world.process("worker")


@scenario(failing(9))
def death(world):
    world.process("producer", lambda process: once(process, retry=1))
    world.process("worker")


@scenario(failing(9), on_death="keep")
def death_that_keeps_its_lock(world):
    world.process("producer", lambda process: once(process, retry=1))
    world.process("worker")


@scenario(on_death="keep")
def done_where_death_would_keep_its_lock(world):
    world.process("producer", once)
    world.process("worker")


@scenario(failing(9))
def drop(world):
    world.process("producer", lambda process: once(process, retry=0))
    world.process("worker")


class _Dropping(Middleware):
    def __init__(self, process):
        self._jobs = process.world.truth.jobs

    def fetch(self, job, call_next):
        self._jobs.drops(job["jid"])
        return Drop("not wanted any more")


@scenario(middleware=lambda process: [_Dropping(process)])
def dropped_by_a_middleware(world):
    world.process("producer", once)
    world.process("worker")


def _equals(process):
    """Equal jobs pushed all the while."""
    for _ in range(12):
        process.push(process.job())
        process.sleep(17)


@scenario(lasting(66))
def late_ack(world):
    world.process("producer", once)
    world.process("worker")


@scenario(lasting(130, again=50))
def ack_after_the_rerun_began(world):
    world.process("producer", _equals)
    world.process("worker")
    world.process("other-worker")


@scenario(lasting(66, ValueError("late")))
def late_fail(world):
    world.process("producer", once)
    world.process("worker")


@scenario(requeuing(5, after=61))
def late_requeue(world):
    world.process("producer", once)
    world.process("worker")


@scenario(requeuing(600))
def requeue(world):
    world.process("producer", once)
    world.process("worker")


def _failing_then_requeuing(_process, attempt):
    if attempt == 1:
        raise ValueError("no")
    if attempt == 2:
        raise RetryLater(5)


@scenario(_failing_then_requeuing)
def requeue_after_a_failure(world):
    world.process("producer", lambda process: once(process, retry=1))
    world.process("worker")


@scenario(lasting(3), may_lapse=True)
def lapsed_and_taken_anew(world):
    world.process("producer", once)
    world.process("worker", lambda process: (process.sleep(70), process.work()))
    world.process("other-worker", lambda process: (process.sleep(100), process.work()))


@scenario(requeuing(0))
def requeue_at_once(world):
    world.process("producer", once)
    world.process("worker")
    world.process("other-worker")


@scenario(requeuing(5))
def retry_later_on_the_last_attempt(world):
    world.process("producer", lambda process: once(process, retry=0))
    world.process("worker")


def _cut_off(process, _attempt):
    """A handler that the end of its worker's grace period cuts off."""
    if process.name == "worker":
        process.sleep(5)
        process.stopping = True
        process.giving_up.set()
        raise RetryLater(0)  # what a consumer makes of a process that it has killed


@scenario(_cut_off)
def shutdown_hand_back(world):
    world.process("producer", once)
    world.process("worker")
    world.process("other-worker", lambda process: (process.sleep(10), process.work()))


@scenario(lasting(3))
def store_away_at_hold_and_release(world):
    def handler_away(process):
        process.meanwhile("FETCH", lambda: world.store_away.begin(12))
        process.work()

    world.truth.struck.add(None, Fault.DOWN)
    world.process("producer", once)
    world.process("worker", handler_away, again=lambda process: process.work())


@scenario(lasting(3), may_lapse=True)
def store_away_at_hold_of_a_job_whose_ack_is_not_answered(world):
    """Its lock has run out before, while the job waited."""

    def work(process):
        process.sleep(70)
        process.expect("ACK", Fault.ANSWER_LOST)
        process.meanwhile("FETCH", lambda: world.store_away.begin(90))
        process.meanwhile("ACK", lambda: world.faktory_away.begin(80))
        process.work()

    world.truth.struck.add(None, Fault.DOWN)
    world.process("producer", once)
    world.process("worker", work, again=lambda process: process.work())


@scenario(lasting(58, ValueError("on the edge"), again=50))
def fail_around_expiry(world):
    world.process("producer", once)
    world.process("worker")
    world.process("other-worker")


@scenario(failing(1))
def two_workers(world):
    world.process("producer", lambda process: (once(process), process.sleep(30), once(process)))
    world.process("worker")
    world.process("other-worker")
