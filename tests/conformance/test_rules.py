"""Rules of days and of thousands: on the fake alone, by the server's source.

A test cannot wait for them on a real server. File and line are those of Faktory 1.10.0.
"""

from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from faktory_unique.testing import Clock, FakeFaktory

from .wire import Line, compact, job

DAY = 86_400


@pytest.fixture
def clock():
    return Clock(datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
def faktory(clock):
    with FakeFaktory(clock) as fake:
        yield fake


@pytest.fixture
def line(faktory):
    line = Line(int(faktory.url.rpartition(":")[2]))
    line.hello()
    yield line
    line.close()


def kill(line, count):
    line.ask(f"PUSHB {compact([job(f'job-number-{n}', retry=-1) for n in range(count)])}")
    for number in range(count):
        line.fetch()
        line.fail(f"job-number-{number}")


def test_dead_for_half_a_year(faktory, line):
    """A dead job is forgotten after 180 days (manager/manager.go:23, scheduler.go:13-26)."""
    kill(line, 1)
    faktory.advance(days=180, seconds=-1)
    assert line.sets() == {"dead": 1}
    faktory.advance(minutes=2)
    assert line.sets() == {}


def test_dead_are_forgotten_by_the_hundred(faktory, line):
    """At most a hundred dead jobs are forgotten a minute (scheduler.go:18, task_runner.go:122)."""
    kill(line, 250)
    faktory.advance(days=180, seconds=30)
    left = []
    for _ in range(4):
        left.append(line.sets().get("dead", 0))
        faktory.advance(minutes=1)
    assert left == [250, 150, 50, 0]


def test_kill_makes_death_longer(faktory, line):
    """A kill of a dead job restarts the 180 days (server/mutate.go:31)."""
    kill(line, 1)
    faktory.advance(days=100)
    line.mutate("kill", "dead")
    faktory.advance(days=100)
    assert line.sets() == {"dead": 1}


@pytest.mark.parametrize(
    ("reserve_for", "seconds"), [(0, 1_800), (60, 60), (3_600, 3_600), (DAY, DAY)]
)
def test_reservations(faktory, line, reserve_for, seconds):
    """Half an hour by default, a minute at least, a day at most (manager/working.go:114-127)."""
    line.push(reserve_for=reserve_for)
    line.fetch()
    faktory.advance(seconds - 1)
    assert line.sets() == {"working": 1}
    faktory.advance(17)
    assert line.sets() == {"retries": 1}


@pytest.mark.parametrize("count", [1, 5, 10, 24])
def test_retry_is_due(faktory, line, count):
    """A retry is due after count⁴ + 15 and up to 29 · (count + 1) s (manager/retry.go:164-168)."""
    line.push(failure={"retry_count": count - 1})
    line.fetch()
    line.fail()
    least = count**4 + 15
    faktory.advance(least - 1)
    assert line.sets() == {"retries": 1}
    faktory.advance(29 * (count + 1) + 7)
    assert (line.sets(), line.queues()) == ({}, {"default": 1})


def test_all_retries_take_weeks(faktory, line):
    """All 25 retries of a job together take three weeks (manager/retry.go:164-168)."""
    line.push()
    hours = 0
    while not line.sets().get("dead"):
        faktory.advance(hours=1)
        hours += 1
        while line.queues()["default"]:
            line.fetch()
            line.fail()
    assert 20.4 * 24 <= hours <= 20.6 * 24 + 25  # each is noticed up to an hour late


def test_scheduled_for_years(faktory, line, clock):
    """A job that is scheduled for a distant day is enqueued on it (manager/scheduler.go:34-58)."""
    line.push(at="2039-12-31T23:00:00+01:00")
    while clock.now() < datetime(2039, 12, 31, 21, 59, 59, tzinfo=UTC):
        faktory.advance(min(DAY, 2_208_981_599 - clock()))
    assert line.sets() == {"scheduled": 1}
    faktory.advance(6)
    assert line.queues() == {"default": 1}


def test_most_connections(faktory):
    """The server serves 2000 connections at a time (server/config.go:7, server/server.go:351)."""
    port = int(faktory.url.rpartition(":")[2])
    with ExitStack() as stack:
        for _ in range(2_001):
            line = Line(port)
            stack.callback(line.close)
            assert line.hello() == "+OK"  # within the two seconds that the server waits for it
        assert [line.reply(), line.reply()] == ["-ERR too many connections: 2001", None]


def test_tasks_run_on_their_seconds(faktory, line):
    """A task runs when its seconds divide the time (server/task_runner.go:100)."""
    line.push(at="2030-01-01T00:00:31Z")
    faktory.advance(34.9)
    assert line.sets() == {"scheduled": 1}
    faktory.advance(0.2)
    assert line.fetch()["enqueued_at"].startswith("2030-01-01T00:00:35")
