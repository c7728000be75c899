"""Send thousands of odd commands to both servers, which must reply alike."""

import random
import re

import pytest

from .odd import PAYLOADS, Odd, pushed
from .wire import beginning, compact, job

pytestmark = pytest.mark.faktory

BAD_NAME = re.compile("cannot get .*? queue: ")  # Go's quotes escape some more characters
NOW = re.compile(r"20[2-4]\d-\d\d-\d\dT[0-9:.]+Z")


class Both:
    """A worker's connection to each of the servers.

    Attributes:
        differences: command, the fake's reply and the real server's reply, if they differ.
    """

    def __init__(self, fake, real):
        self.lines = [fake.worker(), real.worker()]
        self.differences = []

    def ask(self, command):
        """Send a command to both. Return the real server's reply, without the server's times."""
        fake, real = [line.ask(command) or "closed" for line in self.lines]
        fake, real = [
            BAD_NAME.sub("BAD NAME", NOW.sub("NOW", beginning(reply))) for reply in (fake, real)
        ]
        if fake != real:
            self.differences.append((command, fake, real))
        return real

    def look(self):
        """Compare the sizes of queues and sets. Return the names of queues with jobs."""
        fake, real = [line.info()["faktory"] for line in self.lines]
        for name in ("queues", "sets", "total_processed", "total_failures"):
            if fake[name] != real[name]:
                self.differences.append((name, fake[name], real[name]))
        if fake["tasks"]["Busy"]["size"] != real["tasks"]["Busy"]["size"]:
            self.differences.append(("Busy", fake["tasks"]["Busy"], real["tasks"]["Busy"]))
        return [name for name, size in real["queues"].items() if size]

    def fetch_all(self):
        """Compare all jobs in queues."""
        while names := self.look():
            if self.differences:  # one of the servers might have no job, and wait
                return
            self.ask(f"FETCH {' '.join(names)}")


@pytest.fixture
def both(fake_server, real_server):
    servers = (fake_server, real_server)
    for server in servers:
        server.clean()
    yield Both(*servers)
    for server in servers:
        server.clean()
        server.end_lines()


@pytest.mark.parametrize("seed", range(12))
def test_pushes(both, seed):
    """Odd jobs are refused with the same error, or fetched with the same text."""
    odd = Odd(random.Random(seed))
    for _ in range(10):
        for _ in range(25):
            both.ask(odd.push())
        both.fetch_all()
    assert both.differences == []


@pytest.mark.parametrize("seed", range(6))
def test_reports(both, seed):
    """Odd ACKs and FAILs have the same replies, and their jobs end in the same sets."""
    odd = Odd(random.Random(seed))
    for _ in range(8):
        for _ in range(12):
            both.ask(odd.push())
        both.fetch_all()
        for _ in range(25):
            both.ask(odd.report())
        both.look()
        both.ask('MUTATE {"cmd":"clear","target":"scheduled"}')
        for target in ("retries", "dead"):  # one by one, since the real server has no order here
            for jid in ("job-number-1", "job-number-2", "12345678", "jid-é"):
                operation = {"cmd": "requeue", "target": target, "filter": {"jids": [jid]}}
                both.ask(f"MUTATE {compact(operation)}")
                if sum(both.lines[1].queues().values()) == 1:
                    both.fetch_all()
                both.ask("QUEUE REMOVE *")
    assert both.differences == []


def paused_or_not(both, command, name, paused):
    """Send a QUEUE command, and update the set of paused queues."""
    known = name in both.lines[1].queues()
    both.ask(f"QUEUE {command} {name}")
    if command != "PAUSE":
        paused.discard(name)
    elif known:
        paused.add(name)


@pytest.mark.parametrize("seed", range(8))
def test_lives(both, seed):
    """Any sequence of commands on a few jids and queues leads to the same state."""
    pick = random.Random(seed).choice
    paused = set()
    for _ in range(250):
        name, jid = pick("ab"), pick(["job-number-1", "job-number-2", "job-number-3"])
        at = pick(["", "", "2090-01-01T00:00:00Z"])
        known = both.lines[1].info()["faktory"]
        ready = [queue for queue, size in known["queues"].items() if size and queue not in paused]
        target = pick(["retries", "dead", "scheduled"])
        match pick(
            ["push", "push", "fetch", "fetch", "ack", "fail", "fail", "mutate", "queue", "flush"]
        ):
            case "push":
                fields = {
                    "queue": name,
                    "at": at,
                    "retry": pick([-1, 0, 1, 2]),
                    "args": [pick("xyz")],
                }
                both.ask(f"PUSHB {compact([job(jid, **fields)])}")
            case "fetch" if ready:
                both.ask(f"FETCH {' '.join(sorted(ready))} {' '.join(paused)}")
            case "ack":
                both.ask(f"ACK {compact({'jid': jid})}")
            case "fail":
                both.ask(f"FAIL {compact({'jid': jid, 'message': pick('xyz')})}")
            case "mutate":
                one = known["sets"][target] == 1  # the real server has no order of several
                command = pick(["requeue"] * 6 * one + ["kill", "discard"])
                operation = {"cmd": command, "target": target, "filter": {"jids": [jid]}}
                both.ask(f"MUTATE {compact(operation)}")
            case "queue":
                paused_or_not(both, pick(["PAUSE", "RESUME", "RESUME", "REMOVE"]), name, paused)
            case "flush" if pick([False] * 9 + [True]):
                both.ask("FLUSH")
        both.look()
    assert both.differences == []


@pytest.mark.parametrize("seed", range(3))
def test_mutations(both, seed):
    """Odd mutations have the same replies."""
    odd = Odd(random.Random(seed))
    for _ in range(300):
        both.ask(odd.mutation())
    assert both.differences == []


@pytest.mark.parametrize("seed", range(4))
def test_times(both, seed):
    """Odd times are refused with the same error, or the job is in the same set or queue."""
    odd = Odd(random.Random(seed))
    for _ in range(200):
        text = odd.time()
        if both.ask(pushed(text)) == "{}":
            if both.look():
                both.fetch_all()
            both.ask("FLUSH")
    assert both.differences == []


@pytest.mark.parametrize("seed", range(4))
def test_globs(both, seed):
    """Odd globs match the same number of jobs."""
    odd = Odd(random.Random(seed))
    for number in range(150):
        both.ask(f"PUSHB {compact(PAYLOADS)}")
        name = "regexp" if number % 3 else "jobtype"
        operation = {"cmd": "discard", "target": "scheduled", "filter": {name: odd.glob()}}
        both.ask(f"MUTATE {compact(operation)}")
        before = len(both.differences)
        both.look()
        if len(both.differences) > before:
            both.differences[-1] += (operation,)
    assert both.differences == []
