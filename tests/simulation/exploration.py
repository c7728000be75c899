"""Every single fault at every step of a scenario, and every switch between its processes."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.faults import faults_at


@dataclass
class Report:
    """What an exploration has tried, and what it has found.

    Attributes:
        runs: how often a scenario was run.
        points: how many pairs of a step and a fault were tried.
        broken: of each run that broke a promise: what was done to it, and what broke.
    """

    runs: int = 0
    points: int = 0
    broken: list = field(default_factory=list)

    def run(self, scenario, faults=(), switches=()):
        """Runs a scenario once more."""
        self.runs += 1
        world = scenario.run(faults, switches)
        if world.broken:
            done = [*dict(faults).items(), *switches]
            self.broken.append((scenario.name, done, world.broken))
        return world


def explore(scenario, report):
    """Runs a scenario without a fault, then with each that its steps can meet."""
    world = report.run(scenario)
    for number, label in world.steps:
        for fault in faults_at(label):
            report.points += 1
            report.run(scenario, {number: fault})


def explore_switches(scenario, report):
    """Runs a scenario with another process going first at each step, and at each two steps."""
    world = report.run(scenario)
    steps = len(world.steps)
    for first in range(steps):
        report.run(scenario, switches=[first])
        for second in range(first + 1, steps):
            report.run(scenario, switches=[first, second])


def first_breach(scenarios):
    """The first breach that an exploration of some scenarios comes upon, or None.

    What is quick to try comes first: each scenario as it is, then with faults, then with switches.
    """
    report = Report()
    for tries in (_as_it_is, _with_faults, _with_switches):
        for scenario in scenarios:
            for faults, switches in tries(scenario):
                report.run(scenario, faults, switches)
                if report.broken:
                    return report.broken[0]
    return None


def _as_it_is(_scenario):
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
