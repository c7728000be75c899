"""What a scenario is: processes, and what they do before anything goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from unittest import mock

from faktory_unique import RetryLater
from faktory_unique.unique import batch
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
        chunk: jobs that go out in one PUSHB.
    """

    name: str
    start: object
    handler: object
    policy: dict = field(default_factory=lambda: POLICY)
    may_lapse: bool = False
    middleware: object = lambda _process: ()
    chunk: int = batch.CHUNK

    def run(self, faults=(), switches=()):
        """A world in which it has been run; its `broken` tells what was not kept."""
        more = {"may_lapse": self.may_lapse, "middleware": self.middleware}
        with mock.patch.object(batch, "CHUNK", self.chunk):
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
    chunk=batch.CHUNK,
    **policy,
):
    """Makes a scenario of the function that starts its processes."""

    def register(start):
        name = start.__name__
        policies = {**POLICY, **policy}
        told = (name, start, handler, policies, may_lapse, middleware, chunk)
        SCENARIOS[name] = Scenario(*told)
        return start

    return register


def once(process, **fields):
    """Pushes one job until it is known to be there."""
    process.push_until_known(process.job(**fields))


def due_in(process, seconds):
    """The `at` of a job that is due so many seconds from now."""
    now = datetime.fromtimestamp(process.world.clock(), UTC)
    return (now + timedelta(seconds=seconds)).isoformat()


def failing(times):
    """A handler that fails so often."""

    def handler(_process, attempt):
        if attempt <= times:
            raise ValueError("not yet")

    return handler


def requeuing(delay, after=0):
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
