"""Run a scenario with each fault at each step, and with each switch between processes."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.faults import faults_at


@dataclass
class Exploration:
    """The runs of an exploration, and the breaches found.

    Attributes:
        runs: how often a scenario was run.
        points: how many pairs of a step and a fault were tried.
        breaches: for each run that broke a promise: the scenario, its faults and switches, and
            what was broken.
    """

    runs: int = 0
    points: int = 0
    breaches: list = field(default_factory=list)

    def run(self, scenario, faults=(), switches=()):
        """Run a scenario once."""
        self.runs += 1
        world = scenario.run(faults, switches)
        if world.breaches:
            done = [*dict(faults).items(), *switches]
            self.breaches.append((scenario.name, done, world.breaches))
        return world


def explore_faults(scenario, exploration):
    """Run a scenario without faults, then with each fault that each step can have."""
    world = exploration.run(scenario)
    for number, label in world.steps:
        for fault in faults_at(label):
            exploration.points += 1
            exploration.run(scenario, {number: fault})


def explore_switches(scenario, exploration, steps=slice(None)):
    """Run a scenario with another process first at each step, and at each pair of steps.

    `steps` limits the first step of a pair to a part of all. Return the number of all steps.
    """
    world = exploration.run(scenario)
    number = len(world.steps)
    for first in range(number)[steps]:
        exploration.run(scenario, switches=[first])
        for second in range(first + 1, number):
            exploration.run(scenario, switches=[first, second])
    return number


def first_breach(scenarios):
    """Return the first breach that an exploration of these scenarios finds, or None.

    Quick tries come first: each scenario without changes, then with faults, then with switches.
    """
    exploration = Exploration()
    for tries in (_without_changes, _with_faults, _with_switches):
        for scenario in scenarios:
            for faults, switches in tries(scenario):
                exploration.run(scenario, faults, switches)
                if exploration.breaches:
                    return exploration.breaches[0]
    return None


def _without_changes(_scenario):
    yield {}, ()


def _with_faults(scenario):
    for number, label in scenario.run().steps:
        for fault in faults_at(label):
            yield {number: fault}, ()


def _with_switches(scenario):
    steps = len(scenario.run().steps)
    for first in range(steps):
        for second in range(first + 1, steps):
            yield {}, (first, second)
