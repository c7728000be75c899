"""Scenarios of producers, and of what the time of a lock is."""

from __future__ import annotations

from tests.simulation.faults import Fault
from tests.simulation.scenario import due_in, failing, lasting, once, scenario


@scenario()
def single(world):
    world.process("producer", once)
    world.process("worker")


def list_twice(*works):
    """Pushes a list, and soon the same once more."""

    def push(process):
        jobs = [process.job(args=[n]) for n in works]
        process.push(*jobs)
        process.sleep(1)
        process.push(*jobs)

    return push


@scenario()
def bulk(world):
    world.process("producer", list_twice(1, 2, 1))
    world.process("worker")


@scenario(chunk=1)
def bulk_in_chunks(world):
    """Each lock is taken while Faktory has the job before."""
    world.process("producer", list_twice(1, 2, 3, 1))
    world.process("worker")


@scenario(chunk=1)
def chunks_that_are_answered_slowly(world):
    """Two leases and more pass before the last of them is answered."""

    def push(process):
        process.answers_take = 40
        process.push(*(process.job(args=[n]) for n in (1, 2, 3)))

    def push_one_of_them(process):
        process.sleep(65)
        once(process, args=[2])

    world.process("producer", push)
    world.process("other-producer", push_one_of_them)
    world.process("worker", lambda process: (process.sleep(75), process.work()))


@scenario(lasting(2, again=2))
def waited_longer_than_its_ttl(world):
    """An equal is pushed, and both run."""
    world.process("producer", lambda process: (once(process), process.sleep(65), once(process)))
    world.process("worker", lambda process: (process.sleep(70), process.work()))


@scenario()
def scheduled(world):
    def push(process):
        once(process, at=due_in(process, 600))

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(5), until="expiry")
def until_expiry(world):
    world.process("producer", lambda process: (once(process), process.sleep(61), once(process)))
    world.process("worker")


@scenario(failing(2), renew=False)
def no_renewal(world):
    world.process("producer", lambda process: (once(process), process.sleep(61), once(process)))
    world.process("worker")


@scenario(lasting(5), on_store_error="push")
def pushed_without_a_lock(world):
    def push(process):
        world.truth.struck.add(None, Fault.DOWN)
        world.store_away.begin(3)
        once(process)
        process.sleep(4)
        once(process)

    world.process("producer", push)
    world.process("worker")


@scenario()
def unknown_push(world):
    def push(process):
        process.expect("PUSHB", Fault.LOST)
        once(process)

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(5))
def unknown_push_that_arrived(world):
    def push(process):
        process.expect("PUSHB", Fault.ANSWER_LOST)
        once(process)

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(5), may_lapse=True)
def same_job_pushed_again_after_its_lease(world):
    def push(process):
        process.expect("PUSHB", Fault.ANSWER_LOST)
        process.push_until_known(process.job(), pause=61)

    world.process("producer", push)
    world.process("worker", lambda process: (process.sleep(70), process.work()))
    world.process("other-worker", lambda process: (process.sleep(70), process.work()))


@scenario(lasting(5, again=10), until="start")
def same_job_pushed_again_while_it_runs(world):
    def push(process):
        job = process.job()
        process.push_until_known(job)
        process.sleep(2)
        process.push_until_known(job)

    world.process("producer", push)
    world.process("worker")
    world.process("other-worker")


@scenario(lasting(5), may_lapse=True)
def refused_push_after_a_faster_worker(world):
    """Of a job whose first push arrived, unanswered, and whose lease ran out."""

    def push(process):
        process.expect("PUSHB", Fault.ANSWER_LOST, Fault.REFUSED)
        job = process.job()
        process.push(job)
        process.sleep(61)
        process.push(job)
        process.push(process.job())

    world.process("producer", push)
    world.process("worker", lambda process: (process.sleep(61), process.work()))


@scenario()
def until_start(world):
    world.process("producer", lambda process: (once(process), once(process)))
    world.process("worker")


@scenario(lasting(20))
def store_away_at_confirm(world):
    def push(process):
        job = process.job()
        world.truth.struck.add(None, Fault.DOWN)
        process.meanwhile("PUSHB", lambda: world.store_away.begin(10))
        process.push(job)
        process.sleep(20)
        process.push(process.job())

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(2))
def two_producers(world):
    for name in ("producer", "other-producer"):
        world.process(name, lambda process: (once(process), process.sleep(1), once(process)))
    world.process("worker")
