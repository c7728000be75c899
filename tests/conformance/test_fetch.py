"""FETCH: which job it returns, how long it waits, paused queues, quiet workers; END."""

import json
import time

import pytest

from tests.patience import takes

from .wire import compact, job


def waits(worker, *queues):
    """Send a FETCH that has to wait."""
    worker.send(f"{' '.join(['FETCH', *queues])}\r\n")
    time.sleep(0.2)


def jid(reply):
    return json.loads(reply)["jid"]


def test_oldest_first(worker):
    """A queue returns its jobs in the order in which PUSH and PUSHB enqueued them."""
    worker.push("job-number-1")
    worker.ask(f"PUSHB {compact([job('job-number-2'), job('job-number-3')])}")
    worker.push("job-number-4")
    assert [worker.fetch()["jid"][-1] for _ in range(4)] == ["1", "2", "3", "4"]


def test_queues_in_the_order_of_fetch(worker):
    """FETCH returns a job of its first queue that has one, even if others have older jobs."""
    worker.push("job-number-1", queue="a")
    worker.push("job-number-2", queue="b")
    worker.push("job-number-3", queue="b")
    order = [("b", "a"), ("a", "b"), ("a", "b")]
    assert [worker.fetch(*queues)["jid"][-1] for queues in order] == ["2", "1", "3"]


@pytest.mark.parametrize(
    "queues", [("a",), ("nope", "a"), ("a", "a"), ("", "a"), ("*", "a"), ("a", "q:a", "é")]
)
def test_names_that_are_no_queues(worker, queues):
    """Any other name in FETCH counts as an empty queue."""
    worker.push(queue="a")
    assert worker.fetch(*queues)["jid"] == "job-number-1"


def test_names_have_case(worker):
    """A queue's name is case-sensitive."""
    worker.push(queue="a")
    assert worker.fetch("A") is None


@pytest.mark.parametrize("queue", ["default", ""])
def test_empty_queue(worker, queue):
    """FETCH waits two seconds for an empty queue."""

    def fetch():
        assert worker.ask(f"FETCH {queue}") == "$-1"

    assert takes(fetch, least=1.9, below=3.5)


def test_woken_by_a_push(server, worker):
    """A push ends the wait at once."""
    line = server.producer()

    def fetch():
        waits(worker, "a", "b")
        line.push(queue="b")
        assert jid(worker.reply()) == "job-number-1"
        worker.ack()

    assert takes(fetch, below=1)


def test_woken_by_a_requeue(server, worker):
    """A job that MUTATE requeues ends the wait at once."""
    line = server.producer()

    def fetch():
        line.push(at="2090-01-01T00:00:00Z")
        waits(worker, "default")
        line.mutate("requeue", "scheduled")
        assert jid(worker.reply()) == "job-number-1"
        worker.ack()

    assert takes(fetch, below=1)


def test_longest_waiting_worker_is_served_first(server):
    """Jobs go to the workers in the order in which these began to wait."""
    workers = [server.worker() for _ in range(4)]
    for worker in workers:
        waits(worker, "default")
    jobs = [job(f"job-number-{number}") for number in range(4)]
    server.producer().ask(f"PUSHB {compact(jobs)}")
    assert [jid(worker.reply())[-1] for worker in workers] == ["0", "1", "2", "3"]


def test_waiting_worker_gets_the_first_job_pushed(server, worker):
    """A waiting worker gets the first job pushed, even if another queue is named first."""
    waits(worker, "a", "b")
    server.producer().ask(
        f"PUSHB {compact([job('job-number-1', queue='b'), job('job-number-2', queue='a')])}"
    )
    assert jid(worker.reply()) == "job-number-1"


def test_waiting_on_a_queue_that_is_removed(server, worker):
    """A worker that waits on a queue gets a job of it after it was removed and made again."""
    worker.push()
    worker.fetch()
    waits(worker, "default")
    line = server.producer()
    line.ask("QUEUE REMOVE default")
    line.push("job-number-2")
    assert jid(worker.reply()) == "job-number-2"


def test_paused_queue_is_passed_over(worker):
    """FETCH skips a paused queue."""
    worker.push("job-number-1", queue="a")
    worker.push("job-number-2", queue="b")
    worker.ask("QUEUE PAUSE a")
    assert worker.fetch("a", "b")["jid"] == "job-number-2"


def test_all_queues_paused(worker):
    """If all queues are paused, FETCH waits and returns nothing."""
    worker.push(queue="a")
    worker.ask("QUEUE PAUSE a")

    def fetch():
        assert worker.fetch("a", "a") is None

    assert takes(fetch, least=1.9, below=3.5)


def test_resumed_while_fetch_waits(server, worker):
    """A FETCH that found all queues paused does not notice that they are resumed."""
    worker.push(queue="a")
    worker.ask("QUEUE PAUSE a")
    waits(worker, "a")
    server.producer().ask("QUEUE RESUME a")
    assert worker.reply() == "$-1"
    assert worker.fetch("a")["jid"] == "job-number-1"


def test_paused_while_fetch_waits(server, worker):
    """A queue that is paused while FETCH waits on it still returns the next job."""
    worker.push(queue="a")
    worker.fetch("a")
    waits(worker, "a")
    line = server.producer()
    line.ask("QUEUE PAUSE a")
    line.push("job-number-2", queue="a")
    assert jid(worker.reply()) == "job-number-2"


@pytest.mark.parametrize("state", ["quiet", "terminate"])
def test_first_connection_of_a_quiet_worker(worker, state):
    """FETCH on the first connection of a quiet worker returns nothing, not even an error."""
    worker.push()
    worker.beat(worker.wid, current_state=state)

    def fetch():
        assert [worker.ask("FETCH default"), worker.ask("FETCH")] == ["$-1", "$-1"]

    assert takes(fetch, least=3.9, below=6)


def test_further_connections_of_a_quiet_worker(server, worker):
    """A later connection keeps the state the worker had when it connected (commands.go:238)."""
    second = server.worker(worker.wid)
    worker.push()
    worker.push("job-number-2")
    second.beat(worker.wid, current_state="quiet")
    third = server.worker(worker.wid)
    assert [second.fetch()["jid"], third.fetch()["jid"]] == ["job-number-1", "job-number-2"]


def test_producers_may_fetch(line):
    """A connection without a worker id may fetch."""
    line.push()
    assert line.fetch()["jid"] == "job-number-1"
    assert line.sets() == {"working": 1}


def test_fetched_job_is_reserved(worker):
    """A fetched job is in the working set and no longer in its queue, which stays known."""
    worker.push()
    worker.fetch()
    assert (worker.queues(), worker.sets(), worker.busy()) == ({"default": 0}, {"working": 1}, 1)


def test_worker_that_disconnects_while_it_waits(server, worker):
    """A job for a worker that disconnected during its FETCH is reserved nevertheless."""
    waits(worker, "default")
    worker.close()
    line = server.producer()
    line.push()
    line.fetched.add("job-number-1")
    server.soon(lambda: line.sets() == {"working": 1})


def test_end(line):
    """END closes the connection."""
    assert line.ask("END") is None


def test_end_with_words_behind_it(line):
    """The rest of a line after END is ignored."""
    assert line.ask("END of the world") is None


def test_nothing_is_done_after_end(server, line):
    """Commands after END are lost; those before get their replies."""
    line.send("QUEUE LATENCY\r\nEND\r\nPUSHB " + compact([job()]) + "\r\n")
    assert [line.reply(), line.reply()] == ["{}", None]
    assert server.producer().queues() == {}


def test_end_while_fetch_waits(worker):
    """END waits for the FETCH before it."""
    since = time.monotonic()
    worker.send("FETCH default\r\nEND\r\n")
    assert [worker.reply(), worker.reply()] == ["$-1", None]
    assert time.monotonic() - since > 1.9
