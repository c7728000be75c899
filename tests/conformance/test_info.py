"""INFO: its names in order, counts, sizes, times (server/server.go:424-482)."""

import re
from datetime import datetime, timedelta

import pytest

TIMED = ["cycles", "enqueued", "size", "wall_time_sec"]
SECOND = timedelta(seconds=1)
REAPER = ["reaped", "size"]


@pytest.fixture
def info(line):
    line.push(queue="b")
    line.push(queue="a")
    return line.info()


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", ["now", "server_utc_time", "faktory", "server"]),
        (
            "faktory",
            [
                "queues",
                "sets",
                "tasks",
                "total_failures",
                "total_processed",
                "total_enqueued",
                "total_queues",
            ],
        ),
        (
            "server",
            [
                "description",
                "faktory_version",
                "uptime",
                "connections",
                "command_count",
                "used_memory_mb",
            ],
        ),
        ("faktory queues", ["a", "b"]),
        ("faktory sets", ["dead", "retries", "scheduled", "working"]),
        ("faktory tasks", ["Busy", "Dead", "Retries", "Scheduled", "Workers"]),
        ("faktory tasks Busy", REAPER),
        ("faktory tasks Workers", REAPER),
        ("faktory tasks Dead", TIMED),
        ("faktory tasks Retries", TIMED),
        ("faktory tasks Scheduled", TIMED),
    ],
)
def test_names(info, path, names):
    """The names have the order of Go: that of a struct, or alphabetical in a map."""
    part = info
    for name in path.split():
        part = part[name]
    assert list(part) == names


@pytest.mark.parametrize(
    ("name", "value"), [("description", "Faktory"), ("faktory_version", "1.10.0")]
)
def test_server(info, name, value):
    """The server reports its name and version."""
    assert info["server"][name] == value


@pytest.mark.parametrize("name", ["uptime", "connections", "command_count", "used_memory_mb"])
def test_whole_numbers(info, name):
    """Counts are whole numbers."""
    assert type(info["server"][name]) is int
    assert info["server"][name] >= 0


def test_times(server, info):
    """The server reports its time twice, both times in UTC."""
    now = datetime.fromisoformat(info["now"])
    assert abs(now.timestamp() - server.now()) < 2
    assert info["now"].endswith("Z")
    assert re.fullmatch(r"\d\d:\d\d:\d\d UTC", info["server_utc_time"])
    assert info["server_utc_time"] in {
        f"{now + ago:%H:%M:%S UTC}" for ago in (-SECOND, 0 * SECOND, SECOND)
    }


def test_uptime(server, line):
    """Uptime counts seconds."""
    before = line.info()["server"]["uptime"]
    server.pass_time(2)
    assert 1 <= line.info()["server"]["uptime"] - before <= 3


@pytest.mark.parametrize(
    ("commands", "counted"),
    [
        ([], 1),
        (["FLUSH", "QUEUE LATENCY"], 3),
        (["PUSH", "MUTATE x", "BATCH", "PUSHB []"], 5),
        (["NO", "flush", ""], 1),
    ],
)
def test_command_count(line, commands, counted):
    """Known verbs are counted, even if they fail, and INFO counts itself."""
    before = line.info()["server"]["command_count"]
    for command in commands:
        line.ask(command)
    assert line.info()["server"]["command_count"] == before + counted


def test_connections(server, line):
    """Connections are counted from HELLO to their end."""
    before = line.info()["server"]["connections"]
    server.dial()
    greeted = server.producer()
    greeted.ask("PUSHB []")
    assert line.info()["server"]["connections"] == before + 1
    greeted.close()
    server.soon(lambda: line.info()["server"]["connections"] == before)


def test_clean_server(line):
    """A clean server has no queues, and sizes of 0."""
    faktory = line.info()["faktory"]
    assert (faktory["queues"], set(faktory["sets"].values())) == ({}, {0})
    assert [faktory[f"total_{name}"] for name in ("enqueued", "queues")] == [0, 0]


def test_totals(worker):
    """Totals: jobs in queues, number of queues, processed jobs, and failures of these."""
    for number in range(6):
        worker.push(f"job-number-{number}", queue="ab"[number % 2])
    for number in (0, 2):
        worker.fetch("a")
        worker.ack(f"job-number-{number}")
    worker.fetch("b")
    worker.fail("job-number-1")
    worker.fetch("b")
    faktory = worker.info()["faktory"]
    assert faktory["queues"] == {"a": 1, "b": 1}
    assert faktory["sets"] == {"dead": 0, "retries": 1, "scheduled": 0, "working": 1}
    totals = [faktory[f"total_{name}"] for name in ("failures", "processed", "enqueued", "queues")]
    assert totals == [1, 3, 2, 2]


@pytest.mark.parametrize(
    ("retry", "task"), [(25, "Retries"), (-1, "Dead"), (0, "Nowhere")], ids=["25", "-1", "0"]
)
def test_sizes_of_tasks(worker, retry, task):
    """A task has the size of its set."""
    worker.push(retry=retry)
    worker.fetch()
    worker.fail()
    tasks = worker.info()["faktory"]["tasks"]
    sizes = {name: tasks[name]["size"] for name in ("Retries", "Dead", "Scheduled", "Busy")}
    assert sizes == {"Retries": 0, "Dead": 0, "Scheduled": 0, "Busy": 0} | (
        {task: 1} if task in sizes else {}
    )


def test_size_of_the_scheduled(line):
    """The task of scheduled jobs has the size of their set."""
    line.push(at="2090-01-01T00:00:00Z")
    assert line.info()["faktory"]["tasks"]["Scheduled"]["size"] == 1
