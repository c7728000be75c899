"""Scenarios of jobs that replace or exclude each other."""

from __future__ import annotations

from tests.simulation.faults import Fault
from tests.simulation.scenario import due_in, failing, lasting, once, requeuing, scenario


def _after(seconds, then):
    """A script that begins later."""
    return lambda process: (process.sleep(seconds), then(process))


def _twice(process):
    once(process)
    process.sleep(1)
    once(process)


def _work(process):
    process.work()


@scenario(on_conflict="replace")
def replaced_in_its_queue(world):
    world.process("producer", _twice)
    world.process("worker", _after(3, _work))


@scenario(lasting(5), on_conflict="replace")
def replaced_while_it_runs(world):
    world.process("producer", _twice)
    world.process("worker")
    world.process("other-worker")


@scenario(failing(1), on_conflict="replace")
def replaced_while_it_waits_for_its_retry(world):
    world.process("producer", _twice)
    world.process("worker")


@scenario(on_conflict="replace")
def replaced_by_two_at_once(world):
    world.process("producer", once)
    for name in ("other-producer", "third-producer"):
        world.process(name, _after(1, once))
    world.process("worker", _after(3, _work))


@scenario(on_conflict="replace")
def debounced(world):
    def push(process):
        for _ in range(2):
            once(process, at=due_in(process, 20))
            process.sleep(8)

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(3), on_conflict="replace")
def a_replaced_job_is_pushed_again(world):
    """By another process, which does not know that this jid was replaced: its owner is the same."""
    jobs = []

    def push(process):
        jobs.append(process.job())
        process.push_until_known(jobs[0])

    def push_again(process):
        process.sleep(2)
        process.push_until_known(jobs[0])

    world.process("producer", push)
    world.process("other-producer", _after(1, once))
    world.process("third-producer", push_again)
    world.process("worker", _after(3, _work))


@scenario(lasting(3), on_conflict="replace", until="start")
def replaced_until_start(world):
    world.process("producer", _twice)
    world.process("worker", _after(3, _work))


@scenario(lasting(3), on_conflict="replace", until="expiry")
def replaced_until_expiry(world):
    world.process("producer", _twice)
    world.process("worker", _after(3, _work))


@scenario(on_conflict="replace")
def replaced_by_a_push_that_is_unknown(world):
    def push(process):
        once(process)
        process.expect("PUSHB", Fault.ANSWER_LOST)
        once(process)

    world.process("producer", push)
    world.process("worker", _after(30, _work))


@scenario(lasting(2), on_conflict="replace")
def replaced_by_a_refused_push(world):
    def push(process):
        once(process)
        process.expect("PUSHB", Fault.REFUSED)
        process.push(process.job())

    world.process("producer", push)
    world.process("worker", _after(3, _work))


@scenario(lasting(2), on_conflict="replace")
def store_away_at_the_swap(world):
    """And the worker is faster than the producer, which makes its swap when all is over."""

    def push(process):
        once(process)
        world.truth.struck.add(None, Fault.DOWN)
        process.meanwhile("PUSHB", lambda: world.store_away.begin(6))
        once(process)
        process.sleep(40)

    world.process("producer", push)
    world.process("worker", _after(1, _work))


@scenario(lasting(20, again=5), on_conflict="replace", exclusive=True)
def replaced_while_it_runs_alone(world):
    world.process("producer", _twice)
    world.process("worker")
    world.process("other-worker")


@scenario(lasting(40, again=5), exclusive=True, until="start")
def one_runs_and_one_waits(world):
    world.process("producer", _twice)
    world.process("worker")
    world.process("other-worker", _after(2, _work))


@scenario(failing(1), exclusive=True)
def exclusive_retry(world):
    world.process("producer", once)
    world.process("worker")
    world.process("other-worker")


@scenario(requeuing(0, after=2), exclusive=True, until="start")
def exclusive_requeue(world):
    world.process("producer", _twice)
    world.process("worker")
    world.process("other-worker")


@scenario(lasting(80, again=5), exclusive=True, until="start")
def exclusive_past_its_reservation(world):
    world.process("producer", _twice)
    world.process("worker")
    world.process("other-worker")


@scenario(lasting(3), exclusive=True)
def store_away_at_the_turn_of_an_exclusive_job(world):
    def work(process):
        process.meanwhile("FETCH", lambda: world.store_away.begin(12))
        process.work()

    world.truth.struck.add(None, Fault.DOWN)
    world.process("producer", once)
    world.process("worker", work, again=_work)


@scenario(lasting(20, again=5), exclusive=True, until="start")
def store_away_while_one_runs_and_one_waits(world):
    def work(process):
        process.sleep(2)
        process.meanwhile("FETCH", lambda: world.store_away.begin(8))
        process.work()

    world.truth.struck.add(None, Fault.DOWN)
    world.process("producer", _twice)
    world.process("worker")
    world.process("other-worker", work, again=_work)


@scenario(on_conflict="replace")
def swapped_when_all_is_over(world):
    """The producer reaches nobody when its push has arrived, and the worker is done before."""

    def push(process):
        once(process)
        world.truth.struck.add(process, Fault.CUT_OFF)
        process.meanwhile("PUSHB", lambda: process.cut_off.begin(30))
        process.push(process.job())
        process.sleep(50)

    world.process("producer", push)
    world.process("worker", _after(1, _work))


@scenario(lasting(2), on_conflict="replace")
def two_producers_that_replace(world):
    for name in ("producer", "other-producer"):
        world.process(name, _twice)
    world.process("worker")
