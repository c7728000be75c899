"""Scenarios of producers: pushes, leases and TTLs."""

from __future__ import annotations

from tests.simulation.faults import Fault
from tests.simulation.scenario import due_in, failing, lasting, push_once, scenario


@scenario()
def single(world):
    world.process("producer", push_once)
    world.process("worker")


def push_list_twice(*numbers):
    """Return a script that pushes a list of jobs twice."""

    def push(process):
        jobs = [process.job(args=[n]) for n in numbers]
        process.push(*jobs)
        process.sleep(1)
        process.push(*jobs)

    return push


@scenario()
def bulk(world):
    world.process("producer", push_list_twice(1, 2, 1))
    world.process("worker")


@scenario(chunk=1)
def bulk_in_chunks(world):
    """Each lock is acquired while Faktory handles the job before."""
    world.process("producer", push_list_twice(1, 2, 3, 1))
    world.process("worker")


@scenario(chunk=1)
def slow_replies_to_chunks(world):
    """More than two leases pass before the reply to the last chunk."""

    def push(process):
        process.reply_delay = 40
        process.push(*(process.job(args=[n]) for n in (1, 2, 3)))

    def push_one_of_them(process):
        process.sleep(65)
        push_once(process, args=[2])

    world.process("producer", push)
    world.process("other-producer", push_one_of_them)
    world.process("worker", lambda process: (process.sleep(75), process.work()))


@scenario(lasting(2, again=2))
def waited_longer_than_its_ttl(world):
    """An equal job is pushed, and both run."""
    world.process(
        "producer", lambda process: (push_once(process), process.sleep(65), push_once(process))
    )
    world.process("worker", lambda process: (process.sleep(70), process.work()))


@scenario()
def scheduled(world):
    def push(process):
        push_once(process, at=due_in(process, 600))

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(5), until="expiry")
def until_expiry(world):
    world.process(
        "producer", lambda process: (push_once(process), process.sleep(61), push_once(process))
    )
    world.process("worker")


@scenario(failing(2), renew=False)
def no_renewal(world):
    world.process(
        "producer", lambda process: (push_once(process), process.sleep(61), push_once(process))
    )
    world.process("worker")


@scenario(lasting(5), on_store_error="push")
def pushed_without_a_lock(world):
    def push(process):
        world.checker.fault_log.add(None, Fault.DOWN)
        world.store_outage.begin(3)
        push_once(process)
        process.sleep(4)
        push_once(process)

    world.process("producer", push)
    world.process("worker")


@scenario()
def unknown_push(world):
    def push(process):
        process.script_faults("PUSHB", Fault.LOST)
        push_once(process)

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(5))
def unknown_push_arrived(world):
    def push(process):
        process.script_faults("PUSHB", Fault.REPLY_LOST)
        push_once(process)

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(5), may_lapse=True)
def same_job_pushed_again_after_its_lease(world):
    def push(process):
        process.script_faults("PUSHB", Fault.REPLY_LOST)
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
    """The first push arrived and its reply was lost; then the lease of the job ended."""

    def push(process):
        process.script_faults("PUSHB", Fault.REPLY_LOST, Fault.REFUSED)
        job = process.job()
        process.push(job)
        process.sleep(61)
        process.push(job)
        process.push(process.job())

    world.process("producer", push)
    world.process("worker", lambda process: (process.sleep(61), process.work()))


@scenario()
def until_start(world):
    world.process("producer", lambda process: (push_once(process), push_once(process)))
    world.process("worker")


@scenario(lasting(20))
def store_away_at_confirm(world):
    def push(process):
        job = process.job()
        world.checker.fault_log.add(None, Fault.DOWN)
        process.after_command("PUSHB", lambda: world.store_outage.begin(10))
        process.push(job)
        process.sleep(20)
        process.push(process.job())

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(2))
def two_producers(world):
    for name in ("producer", "other-producer"):
        world.process(
            name, lambda process: (push_once(process), process.sleep(1), push_once(process))
        )
    world.process("worker")
