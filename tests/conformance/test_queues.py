"""QUEUE: pause, resume, remove and latency (server/commands.go:40-150, manager/fetch.go:20-60)."""

import json

import pytest

from .wire import beginning, job

LATER = "2090-01-01T00:00:00Z"


@pytest.fixture
def queues(worker):
    """A worker, and the queues a, b and c with a job in each."""
    for name in "abc":
        worker.push(f"job-number-{name}", queue=name)
    return worker


@pytest.mark.parametrize(
    ("commands", "paused"),
    [
        (["PAUSE a"], "a"),
        (["pause a"], "a"),
        (["PaUsE a b"], "ab"),
        (["PAUSE a a"], "a"),
        (["PAUSE a", "PAUSE b"], "ab"),
        (["PAUSE nope a"], "a"),
        (["PAUSE A"], ""),
        (["PAUSE  a"], "a"),
        (["PAUSE a,b"], ""),
        (["PAUSE a *"], "a"),
        (["PAUSE a*"], ""),
        (["PAUSE a b", "RESUME a"], "b"),
        (["PAUSE a b", "RESUME *"], ""),
        (["PAUSE a b", "RESUME a b c nope"], ""),
        (["PAUSE a", "PAUSE a", "RESUME a"], ""),
        (["PAUSE a", "FLUSH a"], "a"),
        (["PAUSE * x", "RESUME b"], "ac"),
    ],
)
def test_paused(queues, commands, paused):
    """Queues are paused and resumed by name, or all at once by a star as the first name."""
    for command in commands:
        queues.ask(f"QUEUE {command}")
    free = sorted({"a", "b", "c"} - set(paused))
    assert [queues.fetch("a", "b", "c")["queue"] for _ in free] == free


def test_all_paused(queues):
    """A star means all known queues; a later queue is not paused."""
    assert queues.ask("QUEUE PAUSE *") == "+OK"
    queues.push(queue="d")
    assert queues.fetch("a", "b", "c", "d")["queue"] == "d"


def test_push_into_a_paused_queue(queues):
    """A paused queue accepts jobs."""
    queues.ask("QUEUE PAUSE a")
    assert queues.push("job-number-d", queue="a") == "{}"
    assert queues.queues() == {"a": 2, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("command", "left"),
    [
        ("REMOVE a", {"b": 1, "c": 1}),
        ("remove a b nope", {"c": 1}),
        ("REMOVE *", {}),
        ("REMOVE * a", {}),
        ("REMOVE a *", {"b": 1, "c": 1}),
        ("REMOVE A", {"a": 1, "b": 1, "c": 1}),
        ("REMOVE [a]", {"a": 1, "b": 1, "c": 1}),
        ("REMOVE ", {"a": 1, "b": 1, "c": 1}),
    ],
)
def test_removed(queues, command, left):
    """A removed queue and its jobs are forgotten; an unknown name is no error."""
    assert queues.ask(f"QUEUE {command}") == "+OK"
    assert queues.queues() == left


def test_removed_queue_is_no_longer_paused(queues):
    """A queue that is removed and made again is not paused."""
    queues.ask("QUEUE PAUSE a")
    queues.ask("QUEUE REMOVE a")
    queues.push(queue="a")
    assert queues.fetch("a")["jid"] == "job-number-1"


def test_removal_keeps_reservations(queues):
    """A fetched job outlives its queue; its retry makes the queue again."""
    queues.fetch("a")
    queues.ask("QUEUE REMOVE *")
    assert queues.fail("job-number-a") == "+OK"
    queues.mutate("requeue", "retries")
    assert queues.queues() == {"a": 1}


def test_latency(server, queues):
    """Latency is the waiting time of the oldest job of each queue, in seconds."""
    server.pass_time(1)
    queues.push(queue="a")
    queues.push(queue="d")
    seconds = json.loads(queues.ask("QUEUE LATENCY a d nope"))
    assert list(seconds) == ["a", "d", "nope"]
    assert 1 <= seconds["a"] < 2
    assert 0 < seconds["d"] < 0.5
    assert seconds["nope"] == 0


@pytest.mark.parametrize(
    ("names", "reply"),
    [
        ("", '{"":0}'),
        ("z y z", '{"y":0,"z":0}'),
        ("<é>", r'{"\u003cé\u003e":0}'),
        ("a", '{"a":0}'),
        ('"', r'{"\"":0}'),
        ("  ", '{"":0}'),
    ],
)
def test_latency_of_empty_queues(worker, names, reply):
    """An unknown or empty queue has a latency of 0; names are in the order of their bytes."""
    worker.push(queue="a")
    worker.fetch("a")
    assert worker.ask(f"QUEUE LATENCY {names}") == reply


def test_latency_of_a_paused_queue(queues):
    """A paused queue has a latency, too."""
    queues.ask("QUEUE PAUSE a")
    assert json.loads(queues.ask("QUEUE LATENCY a"))["a"] > 0


@pytest.mark.parametrize(
    "enqueued_at", [{}, {"enqueued_at": "now"}], ids=["unsaid", "said by its client"]
)
def test_latency_of_a_requeued_job(line, enqueued_at):
    """A scheduled job that MUTATE has enqueued has no time of that: an error for all names."""
    line.ask(f"PUSHB [{json.dumps(job(at=LATER, **enqueued_at))}]")
    line.mutate("requeue", "scheduled")
    reply = line.ask("QUEUE LATENCY nope default")
    assert beginning(reply) == "-ERR QUEUE: parsing time"


@pytest.mark.parametrize(
    ("enqueued_at", "seconds"),
    [("0001-01-01T00:00:00Z", "9223372036.854776"), ("9001-01-01T00:00:00Z", "-9223372036.854776")],
)
def test_latency_of_ages(line, enqueued_at, seconds):
    """A latency is at most 292 years, in either direction."""
    line.ask(f"PUSHB [{json.dumps(job(at=LATER, enqueued_at=enqueued_at))}]")
    line.mutate("requeue", "scheduled")
    assert line.ask("QUEUE LATENCY default") == f'{{"default":{seconds}}}'
