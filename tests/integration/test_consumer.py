"""The consumer on a real Faktory: failing jobs, refused arguments, stop, signals, wrap."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pyfaktory
import pytest

from faktory_unique import (
    AuthenticationFailed,
    Client,
    CommandNotSent,
    Consumer,
    Job,
    Producer,
    Unique,
)
from tests.integration import handlers
from tests.integration.conftest import SPAWN
from tests.patience import PATIENCE


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(
    "name", ["fail", "fail_unpicklably", "leave", "die", "die_well", "crash", "unregistered"]
)
# Python 3.12 to 3.14 never raise this warning; 3.15 raises it (python/cpython#135427). The fork is
# safe: a child calls `run_jobs` at once, which uses no mutex of another thread of its parent.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_failing_job_costs_no_other_job(
    producer, unique, note_job, working, wait_for, notes, sizes, name, start
):
    producer.push(Job(jobtype=f"Unique.{name}", args=["boom"]))
    producer.push(note_job())
    with working(unique, context=multiprocessing.get_context(start)):
        wait_for(lambda: notes() == ["ran"] and sizes("retries") == 1)
        producer.push(note_job("later"))
        wait_for(lambda: notes() == ["ran", "later"])


def test_a_failure_is_reported_with_type_message_and_backtrace(
    producer, unique, working, wait_for, sizes, faktory_server
):
    producer.push(Job(jobtype="Unique.fail", args=["the reason"], retry=1))
    with working(unique):
        wait_for(lambda: sizes("retries") == 1)
    faktory_server.ask('MUTATE {"cmd":"requeue","target":"retries"}')
    with Client(faktory_server.url, role="consumer", worker_id="test-worker-6") as client:
        failure = client._fetch(["default"])["failure"]
    assert (failure["errtype"], failure["message"]) == ("ValueError", "the reason")
    assert "handlers.py" in failure["backtrace"][-1]


def test_the_jid_comes_first_if_the_handler_is_bound(producer, unique, working, wait_for, notes):
    result = producer.push(Job(jobtype="Unique.note_jid", args=[notes.path]))
    with working(unique):
        wait_for(notes)
    assert notes() == [result.jid]


def test_an_ack_does_not_wait_for_the_fetch(producer, unique, note_job, working, wait_for, locks):
    """Stock pyfaktory acknowledges up to 2 s later: FETCH holds its only connection (facts §4)."""
    with working(unique):
        took = []
        for n in range(5):
            producer.push(note_job(str(n)))
            since = time.monotonic()
            wait_for(lambda: not locks())
            took.append(time.monotonic() - since)
    # Each ACK that waits takes two seconds. On a busy machine, others can take as long.
    assert min(took) < 1


def test_a_lambda_is_refused_when_registered(faktory_url):
    client = Client(faktory_url, role="consumer", worker_id="test-worker-7")
    with pytest.raises(TypeError, match="handler of 'X' cannot be pickled"):
        Consumer(client).register("X", lambda: None)


async def _never_awaited():
    """As a handler, it would do nothing, and its job would be acknowledged."""


@pytest.mark.parametrize("handler", [_never_awaited, 5, None])
def test_a_handler_that_would_do_nothing_is_refused(faktory_url, handler):
    client = Client(faktory_url, role="consumer", worker_id="test-worker-7")
    with pytest.raises(TypeError, match=r"handler of 'X'.* is not a plain function"):
        Consumer(client).register("X", handler)


def test_a_producers_client_is_refused(faktory_url):
    with pytest.raises(ValueError, match=r"make a Client\(role=.consumer.\)"):
        Consumer(Client(faktory_url))


@pytest.mark.parametrize(
    ("queues", "error"),
    [("default", TypeError), ([], ValueError), (["a b"], ValueError), ([None], ValueError)],
)
def test_queues_that_cannot_exist_are_refused(queues, error):
    client = Client(role="consumer")
    with pytest.raises(error, match="queues"):
        Consumer(client, queues)


def test_run_on_an_unconnected_client_is_an_error_at_once():
    with pytest.raises(CommandNotSent, match="call connect"):
        Consumer(Client(role="consumer")).run()


def test_only_stock_objects_can_be_wrapped(faktory_url):
    client = pyfaktory.Client(faktory_url)
    with pytest.raises(TypeError, match="wrap takes a pyfaktory Producer, not Client"):
        Producer.wrap(client)
    with pytest.raises(TypeError, match="wrap takes a pyfaktory Consumer, not Producer"):
        Consumer.wrap(pyfaktory.Producer(client))


def test_the_error_for_a_stock_client_suggests_wrap(faktory_url):
    with pytest.raises(TypeError, match=r"use Consumer\.wrap"):
        Consumer(pyfaktory.Client(faktory_url, role="consumer", worker_id="stock-client"))
    with pytest.raises(TypeError, match=r"use Producer\.wrap"):
        Producer(pyfaktory.Client(faktory_url))


def test_stock_objects_can_be_wrapped(
    faktory_url, redis_url, note_job, wait_for, notes, locks, unique
):
    """A framework may have made them. Address, queues and handlers are kept."""
    stock_producer = pyfaktory.Producer(pyfaktory.Client(faktory_url))
    stock_consumer = pyfaktory.Consumer(
        pyfaktory.Client(faktory_url, role="consumer", worker_id="stock-worker"),
        queues=["default", "other"],
        priority="strict",
    )
    stock_consumer.register("Unique.note", handlers.note)
    producer = Producer.wrap(stock_producer, [unique])
    assert producer.push(note_job())
    assert not producer.push(note_job())
    consumer = Consumer.wrap(stock_consumer, [unique])
    thread = threading.Thread(target=consumer.run)
    thread.start()
    wait_for(lambda: not locks())
    consumer.stop()
    thread.join(PATIENCE)
    producer.client.disconnect()
    consumer.client.disconnect()
    assert notes() == ["ran"]
    assert (consumer.queues, consumer.priority) == (["default", "other"], "strict")


WORKER = textwrap.dedent(
    """
    import sys
    from faktory_unique import Client, Consumer, Unique, Policy
    from tests.integration import handlers

    unique = Unique(store=sys.argv[2], default=Policy())
    with Client(sys.argv[1], role="consumer", worker_id="signalled-worker") as client:
        consumer = Consumer(client, middleware=[unique], concurrency=2, grace_period=20)
        consumer.register("Unique.note_slowly", handlers.note_slowly)
        print("ready", flush=True)
        assert consumer.run() is None
    print("returned", flush=True)
    """
)


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGTERM, 3), (signal.SIGINT, 1)])
def test_a_signal_ends_run_once_its_job_is_reported(
    producer, faktory_url, redis_url, wait_for, notes, locks, number, seconds
):
    """With the default (fork) context, in a process's main thread, as users run it.

    A FETCH in flight takes up to two seconds more. A longer job needs the grace period.
    """
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, faktory_url, redis_url], stdout=subprocess.PIPE, text=True
    )
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, seconds]))
    wait_for(lambda: notes() == ["started"])
    worker.send_signal(number)
    output, _ = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0
    assert output.split() == ["ready", "returned"]
    assert notes() == ["started", "ended"]
    assert locks() == {}


def test_a_job_beyond_the_grace_period_is_requeued(
    producer, unique, working, wait_for, notes, locks, sizes
):
    """Its process is killed first. The job keeps its lock, and no retry is spent."""
    result = producer.push(
        Job(jobtype="Unique.note_slowly", args=[notes.path, 3], custom={"trace": "t"})
    )
    with working(unique, grace_period=0.2):
        wait_for(lambda: notes() == ["started"])
    assert (sizes("working"), sizes("enqueued"), sizes("retries")) == (0, 1, 0)
    assert locks() == {result.key: result.jid}
    assert not producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 3]))
    with working(unique):
        wait_for(lambda: notes() == ["started", "started", "ended"])
        wait_for(lambda: locks() == {})


def test_a_second_stop_ends_the_grace_period(producer, unique, working, wait_for, notes, sizes):
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 60]))
    with working(unique, grace_period=60) as consumer:
        wait_for(lambda: notes() == ["started"])
        consumer.stop()
        time.sleep(0.5)
        assert sizes("working") == 1
        consumer.stop()
        wait_for(lambda: sizes("working") == 0)
    assert sizes("enqueued") == 1


def test_a_consumer_survives_a_restart_of_faktory(
    new_faktory, redis_url, note_job, wait_for, notes
):
    """Both of its connections are reopened, and a waiting job is processed."""
    server = new_faktory()
    with (
        Unique(store=redis_url, default={"ttl": 600}) as unique,
        Client(server.url) as client,
        Client(server.url, role="consumer", worker_id="surviving-worker") as consuming,
    ):
        consumer = Consumer(consuming, middleware=[unique], concurrency=1)
        consumer.register("Unique.note", handlers.note)
        thread = threading.Thread(target=consumer.run)
        thread.start()
        producer = Producer(client, middleware=[unique])
        producer.push(note_job("before"))
        wait_for(lambda: notes() == ["before"])
        server.restart()
        producer.push(note_job("after"))
        wait_for(lambda: notes() == ["before", "after"])
        consumer.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_a_stop_that_comes_before_run_is_not_lost(faktory_url):
    with Client(faktory_url, role="consumer") as client:
        consumer = Consumer(client)
        consumer.stop()
        consumer.run()


def test_a_consumer_can_be_run_again(producer, unique, note_job, working, wait_for, notes):
    with working(unique) as consumer:
        producer.push(note_job("one"))
        wait_for(lambda: notes() == ["one"])
        consumer.stop()
        wait_for(consumer._run_ended.is_set)
        again = threading.Thread(target=consumer.run)
        again.start()
        producer.push(note_job("two"))
        wait_for(lambda: notes() == ["one", "two"])
        consumer.stop()
        again.join(PATIENCE)


def test_a_wrong_password_ends_run_with_an_error(new_faktory):
    server = new_faktory(password="s3cret")
    url = server.url.replace("s3cret", "wr0ng")
    client = Client(url, role="consumer", worker_id="locked-out-worker")
    with pytest.raises(AuthenticationFailed) as caught:
        client.connect()
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize("delay", [0, 1])
def test_a_handler_can_requeue_its_job(
    producer, unique, working, wait_for, notes, locks, sizes, delay
):
    """The copy has a new jid and the same lock. No retry is spent, and no ACK releases the lock."""
    result = producer.push(Job(jobtype="Unique.retry_once", args=[notes.path, delay], retry=0))
    with working(unique):
        wait_for(notes)
        wait_for(lambda: sizes("scheduled") == 1 or len(notes()) == 2)
        if delay:
            assert locks() == {result.key: result.jid}
            assert not producer.push(Job(jobtype="Unique.retry_once", args=[notes.path, delay]))
        wait_for(lambda: len(notes()) == 2)
        wait_for(lambda: locks() == {})
    first, second = notes()
    assert first == result.jid != second
    assert (sizes("retries"), sizes("dead"), sizes("working")) == (0, 0, 0)


def test_the_servers_terminate_ends_run_once_its_job_is_done(
    faktory_server, unique, producer, wait_for, notes, locks
):
    """The Web UI's button sends it with the reply to the next heartbeat."""
    wid = "terminated-worker"
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 2]))
    with Client(faktory_server.url, role="consumer", worker_id=wid, beat_period=5) as client:
        consumer = Consumer(client, middleware=[unique], context=SPAWN, concurrency=1)
        consumer.register("Unique.note_slowly", handlers.note_slowly)
        returned = []
        thread = threading.Thread(target=lambda: returned.append(consumer.run()))
        thread.start()
        wait_for(lambda: notes() == ["started"])
        state = json.dumps({"wid": wid, "current_state": "terminate"})
        faktory_server.ask(f"BEAT {state}", wid=wid)
        thread.join(PATIENCE)
        assert returned == [None]
    assert notes() == ["started", "ended"]
    assert locks() == {}
