"""Scenarios of jobs with `on_conflict="replace"` or `exclusive=True`."""

from __future__ import annotations

from tests.simulation.faults import Fault
from tests.simulation.scenario import due_in, failing, lasting, push_once, requeuing, scenario


def _after(seconds, then):
    """Return a script that starts after some seconds."""
    return lambda process: (process.sleep(seconds), then(process))


def _push_twice(process):
    push_once(process)
    process.sleep(1)
    push_once(process)


def _work(process):
    process.work()


@scenario(on_conflict="replace")
def replaced_in_its_queue(world):
    world.process("producer", _push_twice)
    world.process("worker", _after(3, _work))


@scenario(lasting(5), on_conflict="replace")
def replaced_while_it_runs(world):
    world.process("producer", _push_twice)
    world.process("worker")
    world.process("other-worker")


@scenario(failing(1), on_conflict="replace")
def replaced_while_it_waits_for_its_retry(world):
    world.process("producer", _push_twice)
    world.process("worker")


@scenario(on_conflict="replace")
def replaced_by_two_at_once(world):
    world.process("producer", push_once)
    for name in ("other-producer", "third-producer"):
        world.process(name, _after(1, push_once))
    world.process("worker", _after(3, _work))


@scenario(on_conflict="replace")
def debounced(world):
    def push(process):
        for _ in range(2):
            push_once(process, at=due_in(process, 20))
            process.sleep(8)

    world.process("producer", push)
    world.process("worker")


@scenario(lasting(3), on_conflict="replace")
def replaced_job_pushed_again(world):
    """Another process pushes the replaced jid again: it does not know of the replacement."""
    jobs = []

    def push(process):
        jobs.append(process.job())
        process.push_until_known(jobs[0])

    def push_again(process):
        process.sleep(2)
        process.push_until_known(jobs[0])

    world.process("producer", push)
    world.process("other-producer", _after(1, push_once))
    world.process("third-producer", push_again)
    world.process("worker", _after(3, _work))


@scenario(lasting(3), on_conflict="replace", until="start")
def replaced_until_start(world):
    world.process("producer", _push_twice)
    world.process("worker", _after(3, _work))


@scenario(on_conflict="replace")
def replaced_by_an_unknown_push(world):
    def push(process):
        push_once(process)
        process.script_faults("PUSHB", Fault.REPLY_LOST)
        push_once(process)

    world.process("producer", push)
    world.process("worker", _after(30, _work))


@scenario(lasting(2), on_conflict="replace")
def replaced_by_a_refused_push(world):
    def push(process):
        push_once(process)
        process.script_faults("PUSHB", Fault.REFUSED)
        process.push(process.job())

    world.process("producer", push)
    world.process("worker", _after(3, _work))


@scenario(lasting(2), on_conflict="replace")
def store_away_at_replacement(world):
    """The worker is faster: the producer replaces the job after the new one has ended."""

    def push(process):
        push_once(process)
        world.checker.fault_log.add(None, Fault.DOWN)
        process.after_command("PUSHB", lambda: world.store_outage.begin(6))
        push_once(process)
        process.sleep(40)

    world.process("producer", push)
    world.process("worker", _after(1, _work))


@scenario(lasting(20, again=5), on_conflict="replace", exclusive=True)
def replaced_while_it_runs_exclusively(world):
    world.process("producer", _push_twice)
    world.process("worker")
    world.process("other-worker")


@scenario(lasting(40, again=5), exclusive=True, until="start")
def exclusive_job_waits_for_another(world):
    world.process("producer", _push_twice)
    world.process("worker")
    world.process("other-worker", _after(2, _work))


@scenario(failing(1), exclusive=True)
def exclusive_retry(world):
    world.process("producer", push_once)
    world.process("worker")
    world.process("other-worker")


@scenario(requeuing(0, after=2), exclusive=True, until="start")
def exclusive_requeue(world):
    world.process("producer", _push_twice)
    world.process("worker")
    world.process("other-worker")


@scenario(lasting(80, again=5), exclusive=True, until="start")
def exclusive_past_its_reservation(world):
    world.process("producer", _push_twice)
    world.process("worker")
    world.process("other-worker")


@scenario(lasting(3), exclusive=True)
def store_away_at_an_exclusive_start(world):
    def work(process):
        process.after_command("FETCH", lambda: world.store_outage.begin(12))
        process.work()

    world.checker.fault_log.add(None, Fault.DOWN)
    world.process("producer", push_once)
    world.process("worker", work, again=_work)


@scenario(lasting(20, again=5), exclusive=True, until="start")
def store_away_while_an_exclusive_job_waits(world):
    def work(process):
        process.sleep(2)
        process.after_command("FETCH", lambda: world.store_outage.begin(8))
        process.work()

    world.checker.fault_log.add(None, Fault.DOWN)
    world.process("producer", _push_twice)
    world.process("worker")
    world.process("other-worker", work, again=_work)


@scenario(on_conflict="replace")
def replaced_after_the_new_job_ended(world):
    """The producer is cut off after its push, and the new job ends before it is back."""

    def push(process):
        push_once(process)
        world.checker.fault_log.add(process, Fault.CUT_OFF)
        process.after_command("PUSHB", lambda: process.cut_off.begin(30))
        process.push(process.job())
        process.sleep(50)

    world.process("producer", push)
    world.process("worker", _after(1, _work))


@scenario(lasting(2), on_conflict="replace")
def two_producers_replace(world):
    for name in ("producer", "other-producer"):
        world.process(name, _push_twice)
    world.process("worker")
