"""What processes do, before anything goes wrong: each a function of a `World`'s parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from faktory_unique import Drop, Middleware, RetryLater
from tests.simulation.faults import Fault
from tests.simulation.schedule import NeverOverError
from tests.simulation.world import World

# As short as the server's reservation: all that is longer comes of the rules.
POLICY = {"ttl": 60, "lease": 60}


@dataclass(frozen=True)
class Scenario:
    """What processes do.

    Attributes:
        start: starts the processes of a world.
        handler: what the work is, given the process and the number of the attempt.
        policy: of all jobs.
        may_lapse: whether locks run out by what the scenario does.
        middleware: see `World`.
    """

    name: str
    start: object
    handler: object
    policy: dict = field(default_factory=lambda: POLICY)
    may_lapse: bool = False
    middleware: object = lambda _process: ()

    def run(self, faults=(), switches=()):
        """A world in which it has been run; its `broken` tells what was not kept."""
        more = {"may_lapse": self.may_lapse, "middleware": self.middleware}
        world = World(self.policy, self.handler, faults, switches, **more)
        self.start(world)
        try:
            world.broken = world.run()
        except NeverOverError as exc:
            world.broken = [("endless", str(exc))]
        return world


SCENARIOS = {}


def scenario(
    handler=lambda _process, _attempt: None,
    *,
    may_lapse=False,
    middleware=lambda _process: (),
    **policy,
):
    """Makes a scenario of the function that starts its processes."""

    def register(start):
        name = start.__name__
        policies = {**POLICY, **policy}
        SCENARIOS[name] = Scenario(name, start, handler, policies, may_lapse, middleware)
        return start

    return register


def once(process, **fields):
    """Pushes one job until it is known to be there."""
    process.push_until_known(process.job(**fields))


def failing(times):
    """A handler that fails so often."""

    def handler(_process, attempt):
        if attempt <= times:
            raise ValueError("not yet")

    return handler


def putting_back(delay, after=0):
    """A handler that takes so long at its first attempt, and wants its job later then."""

    def handler(process, attempt):
        if attempt == 1:
            process.sleep(after)
            raise RetryLater(delay)

    return handler


def lasting(seconds, then=None, *, again=0):
    """A handler that takes so long at its first attempt, and may raise then; later so long."""

    def handler(process, attempt):
        process.sleep(seconds if attempt == 1 else again)
        if attempt == 1 and then is not None:
            raise then

    return handler


@scenario()
def single(world):
    world.process("producer", once)
    world.process("worker")


@scenario()
def bulk(world):
    def push(process):
        jobs = [process.job(args=[n]) for n in (1, 2, 1)]
        process.push(*jobs)
        process.sleep(1)
        process.push(*jobs)

    world.process("producer", push)
    world.process("worker")


def _due_in(process, seconds):
    return (
        datetime.fromtimestamp(process.world.clock(), UTC) + timedelta(seconds=seconds)
    ).isoformat()


@scenario()
def scheduled(world):
    def push(process):
        once(process, at=_due_in(process, 600))

    world.process("producer", push)
    world.process("worker")


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


@scenario(putting_back(5, after=61))
def late_put_back(world):
    world.process("producer", once)
    world.process("worker")


@scenario(putting_back(600))
def put_back(world):
    world.process("producer", once)
    world.process("worker")


@scenario(putting_back(0))
def put_back_at_once(world):
    world.process("producer", once)
    world.process("worker")
    world.process("other-worker")


@scenario(putting_back(5))
def retry_later_on_the_last_attempt(world):
    world.process("producer", lambda process: once(process, retry=0))
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


@scenario(lasting(2))
def two_producers(world):
    for name in ("producer", "other-producer"):
        world.process(name, lambda process: (once(process), process.sleep(1), once(process)))
    world.process("worker")


@scenario(failing(1))
def two_workers(world):
    world.process("producer", lambda process: (once(process), process.sleep(30), once(process)))
    world.process("worker")
    world.process("other-worker")
