"""What a scenario is, and the parts of which scenarios are made: pushes and handlers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from unittest import mock

from faktory_unique import RetryLater
from faktory_unique.unique import batch
from tests.simulation.schedule import NeverEndsError
from tests.simulation.world import World

# As short as the server's shortest reservation, so that longer times come from the rules only.
POLICY = {"ttl": 60, "lease": 60}


@dataclass(frozen=True)
class Scenario:
    """The processes of one test case, and what they do.

    Attributes:
        start: a function that starts the processes of a world.
        handler: the handler of all jobs, given the process and the number of the attempt.
        policy: the policy of all jobs, as a dict.
        may_lapse: whether locks lapse because of what the scenario does.
        middleware: see `World`.
        chunk: the number of jobs in one PUSHB.
    """

    name: str
    start: object
    handler: object
    policy: dict = field(default_factory=lambda: POLICY)
    may_lapse: bool = False
    middleware: object = lambda _process: ()
    chunk: int = batch.CHUNK_SIZE

    def run(self, faults=(), switches=()):
        """Run the scenario. Return its world, with all broken promises in `breaches`."""
        options = {"may_lapse": self.may_lapse, "middleware": self.middleware}
        with mock.patch.object(batch, "CHUNK_SIZE", self.chunk):
            world = World(self.policy, self.handler, faults, switches, **options)
            self.start(world)
            try:
                world.breaches = world.run()
            except NeverEndsError as exc:
                world.breaches = [("endless", str(exc))]
        return world


SCENARIOS = {}


def scenario(
    handler=lambda _process, _attempt: None,
    *,
    may_lapse=False,
    middleware=lambda _process: (),
    chunk=batch.CHUNK_SIZE,
    **policy,
):
    """Return a decorator that registers a function as a scenario: it starts the processes."""

    def register(start):
        name = start.__name__
        policies = {**POLICY, **policy}
        SCENARIOS[name] = Scenario(name, start, handler, policies, may_lapse, middleware, chunk)
        return start

    return register


def push_once(process, **fields):
    """Push one job until it is known to be on the server."""
    process.push_until_known(process.job(**fields))


def due_in(process, seconds):
    """Return the `at` of a job that is due in this number of seconds."""
    now = datetime.fromtimestamp(process.world.clock(), UTC)
    return (now + timedelta(seconds=seconds)).isoformat()


def failing(times):
    """Return a handler that fails at its first `times` attempts."""

    def handler(_process, attempt):
        if attempt <= times:
            raise ValueError("not yet")

    return handler


def requeuing(delay, after=0):
    """Return a handler that works `after` seconds at its first attempt, then requeues the job."""

    def handler(process, attempt):
        if attempt == 1:
            process.sleep(after)
            raise RetryLater(delay)

    return handler


def lasting(seconds, then=None, *, again=0):
    """Return a handler that works `seconds`, then raises `then`; later attempts take `again`."""

    def handler(process, attempt):
        process.sleep(seconds if attempt == 1 else again)
        if attempt == 1 and then is not None:
            raise then

    return handler
