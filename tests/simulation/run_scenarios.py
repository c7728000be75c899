"""Scenarios of workers: what happens to a job after FETCH."""

from __future__ import annotations

from faktory_unique import Drop, Middleware, RetryLater
from tests.simulation.faults import Fault
from tests.simulation.scenario import failing, lasting, push_once, requeuing, scenario


@scenario(failing(2))
def retry(world):
    world.process("producer", push_once)
    world.process("worker")


@scenario(failing(9))
def death(world):
    world.process("producer", lambda process: push_once(process, retry=1))
    world.process("worker")


@scenario(failing(9), on_death="keep")
def death_keeps_the_lock(world):
    world.process("producer", lambda process: push_once(process, retry=1))
    world.process("worker")


@scenario(on_death="keep")
def success_with_locks_kept_on_death(world):
    world.process("producer", push_once)
    world.process("worker")


@scenario(failing(9))
def drop(world):
    world.process("producer", lambda process: push_once(process, retry=0))
    world.process("worker")


class _Dropping(Middleware):
    def __init__(self, process):
        self._jobs = process.world.checker.jobs

    def fetch(self, job, call_next):
        self._jobs.on_middleware_drop(job["jid"])
        return Drop("not wanted any more")


@scenario(middleware=lambda process: [_Dropping(process)])
def dropped_by_a_middleware(world):
    world.process("producer", push_once)
    world.process("worker")


def _push_equals(process):
    """Push equal jobs again and again."""
    for _ in range(12):
        process.push(process.job())
        process.sleep(17)


@scenario(lasting(66))
def late_ack(world):
    world.process("producer", push_once)
    world.process("worker")


@scenario(lasting(130, again=50))
def ack_after_the_rerun_began(world):
    world.process("producer", _push_equals)
    world.process("worker")
    world.process("other-worker")


@scenario(lasting(66, ValueError("late")))
def late_fail(world):
    world.process("producer", push_once)
    world.process("worker")


@scenario(requeuing(5, after=61))
def late_requeue(world):
    world.process("producer", push_once)
    world.process("worker")


@scenario(requeuing(600))
def requeue(world):
    world.process("producer", push_once)
    world.process("worker")


def _failing_then_requeuing(_process, attempt):
    if attempt == 1:
        raise ValueError("no")
    if attempt == 2:
        raise RetryLater(5)


@scenario(_failing_then_requeuing)
def requeue_after_a_failure(world):
    world.process("producer", lambda process: push_once(process, retry=1))
    world.process("worker")


@scenario(lasting(3), may_lapse=True)
def lapsed_and_reacquired(world):
    world.process("producer", push_once)
    world.process("worker", lambda process: (process.sleep(70), process.work()))
    world.process("other-worker", lambda process: (process.sleep(100), process.work()))


@scenario(requeuing(0))
def requeue_at_once(world):
    world.process("producer", push_once)
    world.process("worker")
    world.process("other-worker")


@scenario(requeuing(5))
def retry_later_on_the_last_attempt(world):
    world.process("producer", lambda process: push_once(process, retry=0))
    world.process("worker")


def _killed_at_shutdown(process, _attempt):
    """A handler that is killed at the end of the worker's grace period."""
    if process.name == "worker":
        process.sleep(5)
        process.stopping = True
        process.shutting_down.set()
        raise RetryLater(0)  # as a consumer does for a handler process that it killed


@scenario(_killed_at_shutdown)
def shutdown_requeue(world):
    world.process("producer", push_once)
    world.process("worker")
    world.process("other-worker", lambda process: (process.sleep(10), process.work()))


@scenario(lasting(3))
def store_away_at_hold_and_release(world):
    def work_without_store(process):
        process.after_command("FETCH", lambda: world.store_outage.begin(12))
        process.work()

    world.checker.fault_log.add(None, Fault.DOWN)
    world.process("producer", push_once)
    world.process("worker", work_without_store, again=lambda process: process.work())


@scenario(lasting(3), may_lapse=True)
def store_away_at_hold_and_ack_reply_lost(world):
    """The lock has lapsed before the FETCH, while the job waited."""

    def work(process):
        process.sleep(70)
        process.script_faults("ACK", Fault.REPLY_LOST)
        process.after_command("FETCH", lambda: world.store_outage.begin(90))
        process.after_command("ACK", lambda: world.faktory_outage.begin(80))
        process.work()

    world.checker.fault_log.add(None, Fault.DOWN)
    world.process("producer", push_once)
    world.process("worker", work, again=lambda process: process.work())


@scenario(lasting(58, ValueError("on the edge"), again=50))
def fail_around_expiry(world):
    world.process("producer", push_once)
    world.process("worker")
    world.process("other-worker")


@scenario(failing(1))
def two_workers(world):
    world.process(
        "producer", lambda process: (push_once(process), process.sleep(30), push_once(process))
    )
    world.process("worker")
    world.process("other-worker")
