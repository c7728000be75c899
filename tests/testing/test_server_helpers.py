"""wait_for, sizes, clear, wait_until_drained, running_consumer: on the fake and a real server."""

from __future__ import annotations

import time

import pyfaktory
import pytest

from faktory_unique import Client, CommandNotSent, Job, Producer
from faktory_unique.testing import (
    FakeFaktory,
    LocalConsumer,
    QueueSizes,
    clear,
    running_consumer,
    sizes,
    wait_for,
    wait_until_drained,
)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.faktory)])
def url(request):
    if request.param == "real":
        url = request.getfixturevalue("faktory_url")
        with Client(url) as client:
            client.queue_remove(all_queues=True)
        yield url
    else:
        with FakeFaktory() as faktory:
            yield faktory.url


@pytest.fixture
def client(url):
    with Client(url) as client:
        yield client


@pytest.fixture
def consumer(url):
    with Client(url, role="consumer", worker_id="waiting-worker") as client:
        consumer = LocalConsumer(client, ["default"])
        consumer.register("Note", lambda: None)

        def fail():
            raise ValueError

        consumer.register("Fail", fail)
        yield consumer


def job(jobtype="Note", **fields):
    return Job(jobtype=jobtype, args=[], **fields)


def test_wait_for_returns_the_true_value():
    values = iter([0, None, "there"])
    assert wait_for(lambda: next(values)) == "there"


def test_wait_for_reports_the_last_value():
    def three_notes():
        return []

    with pytest.raises(TimeoutError, match=r"waited 0.1 s for three_notes, .* returned \[\]"):
        wait_for(three_notes, 0.1)


def test_wait_until_drained_ends_when_workers_are_done(client, consumer):
    done = []
    consumer.register("Slow", lambda: (time.sleep(0.3), done.append(1)))
    Producer(client).push_bulk([job(), job("Slow"), job("Fail")])
    with running_consumer(consumer):
        wait_until_drained(client, ["default"], 20)
        assert done == [1]
    assert sizes(client).retries == 1


def test_wait_until_drained_lists_the_jobs_left(client):
    Producer(client).push_bulk([job(), job(queue="mail"), job(at="2100-01-01T00:00:00Z")])
    with pytest.raises(TimeoutError) as caught:
        wait_until_drained(client, ["default", "other"], 0.1)
    assert str(caught.value) == (
        "waited 0.1 s until default, other are drained; there are: "
        "default 1, mail 1, working 0, retries 0, scheduled 1, dead 0"
    )


def test_sizes_cover_all_queues_and_sets(client, consumer):
    Producer(client).push_bulk(
        [job("Fail"), job("Fail", retry=-1), job("Fail", retry=0), job(at="2100-01-01T00:00:00Z")]
    )
    with running_consumer(consumer):
        wait_until_drained(client, ["default"])
    Producer(client).push(job())
    assert sizes(client) == QueueSizes(
        queues={"default": 1}, working=0, retries=1, scheduled=1, dead=1
    )


def test_sizes_of_a_server_before_1_9_are_read_from_tasks():
    class Old(pyfaktory.Client):
        def info(self):
            numbers = {"Busy": 1, "Retries": 2, "Scheduled": 3, "Dead": 4}
            tasks = {name: {"size": size} for name, size in numbers.items()}
            return {"faktory": {"queues": {"default": 5}, "tasks": tasks}}

    assert str(sizes(Old())) == "default 5, working 1, retries 2, scheduled 3, dead 4"


@pytest.mark.parametrize(
    ("named", "left"),
    [((), (0, 0, 0)), (("retries",), (0, 1, 1)), (("scheduled", "dead"), (1, 0, 0))],
)
def test_clear_empties_the_named_sets_or_all(client, consumer, named, left):
    Producer(client).push_bulk([job("Fail"), job("Fail", retry=-1), job(at="2100-01-01T00:00:00Z")])
    with running_consumer(consumer):
        wait_until_drained(client, ["default"])
    clear(client, *named)
    now = sizes(client)
    assert (now.retries, now.scheduled, now.dead) == left


def test_queues_as_a_str_and_unknown_sets_are_refused(client):
    with pytest.raises(TypeError, match=r"pass \['default'\]"):
        wait_until_drained(client, "default")
    with pytest.raises(ValueError, match="there are retries, scheduled, dead"):
        clear(client, "default")


def test_stock_client_works(url):
    with pyfaktory.Client(url) as client:
        clear(client)
        assert sizes(client).dead == 0
        wait_until_drained(client, ["default"], 5)


def test_running_consumer_raises_the_error_of_run(url):
    consumer = LocalConsumer(Client(url, role="consumer"))
    with pytest.raises(CommandNotSent, match="not connected"), running_consumer(consumer):
        pass


def test_running_consumer_reports_a_consumer_that_goes_on(consumer, client):
    consumer.register("Slow", lambda: time.sleep(1))
    Producer(client).push(job("Slow"))
    with (
        pytest.raises(TimeoutError, match=r"not stopped within 0\.1 s"),
        running_consumer(consumer, 0.1),
    ):
        wait_for(lambda: sizes(client).working)
    time.sleep(1)


def test_local_consumer_can_run_again(consumer, client):
    seen = []
    consumer.register("Note", lambda: seen.append(1))
    for _ in range(2):
        Producer(client).push(job())
        with running_consumer(consumer):
            wait_until_drained(client, ["default"])
    assert seen == [1, 1]
