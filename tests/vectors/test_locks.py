"""Go and Node acquire and release the locks of Python, on a real Faktory and a real Redis.

docs/key-format.md prints `lock.go` and `lock.mjs`; `main.go` and `main.mjs` run them in the worker
libraries of their languages.
"""

from __future__ import annotations

import json
import time
from itertools import permutations

import pytest
from redis import Redis

from faktory_unique import Client, Job, Producer, RetryLater
from faktory_unique.testing import LocalConsumer, running_consumer, sizes
from tests.patience import wait_for
from tests.recipes.lossy_proxy import LossyProxy
from tests.vectors.foreign import TTL, ForeignError

LANGUAGES = ["go", "node"]


def job(jid, *args, **more):
    return {"jid": jid, "jobtype": "Email", "args": list(args), **more}


ARGS = [42, {"b": 1.50, "\U0001f600": ["\ue000"], "a": None}]


@pytest.mark.parametrize("language", LANGUAGES)
def test_lock_of_another_language_stops_a_push_here(foreign, unique, push, language):
    assert foreign.push(language, job("job-of-theirs", *ARGS)) == "job-of-theirs"
    result = push(*ARGS)
    assert (result.status, result.jid, result.confirmed) == ("duplicate", "job-of-theirs", True)
    lock = unique.holder("Email", ARGS)
    assert (lock.owner, lock.leased, lock.key) == ("job-of-theirs", False, result.key)
    assert TTL - 10 < lock.ttl <= TTL


@pytest.mark.parametrize("language", LANGUAGES)
def test_lock_of_python_stops_a_push_there(foreign, client, push, language):
    ours = push(*ARGS)
    assert foreign.push(language, job("job-of-theirs", *reversed(ARGS))) == "job-of-theirs"
    assert foreign.push(language, job("job-of-theirs-2", *ARGS)) == ours.jid
    assert sizes(client).queues["default"] == 2


@pytest.mark.parametrize(("one", "other"), list(permutations(LANGUAGES)))
def test_other_languages_stop_each_other(foreign, client, one, other):
    assert foreign.push(one, job("job-of-the-one", *ARGS)) == "job-of-the-one"
    assert foreign.push(other, job("job-of-the-other", *ARGS)) == "job-of-the-one"
    assert sizes(client).queues["default"] == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_push_with_a_lost_reply_leaves_a_lease(foreign, faktory_server, unique, push, language):
    """The job's worker releases the lock."""
    with LossyProxy(faktory_server.port, after_pushes=1) as proxy:
        foreign.environment["FAKTORY_URL"] = proxy.url
        with pytest.raises(ForeignError):
            foreign.push(language, job("job-of-theirs", *ARGS))
        assert proxy.lost == 1
    result = push(*ARGS)
    assert (result.status, result.jid, result.confirmed) == ("duplicate", "job-of-theirs", False)
    assert 0 < unique.holder("Email", ARGS).ttl <= 60
    foreign.environment["FAKTORY_URL"] = faktory_server.url
    with pytest.raises(ForeignError, match="is unconfirmed: wait"):
        foreign.push(language, job("job-of-theirs-2", *ARGS))
    foreign.work(language, "Email")
    wait_for(lambda: unique.holder("Email", ARGS) is None)


@pytest.mark.parametrize("language", LANGUAGES)
def test_refused_push_rolls_its_lock_back(foreign, unique, language):
    refused = job("job-of-theirs", *ARGS, reserve_for=100_000)
    with pytest.raises(ForeignError, match="reserved for more than one day"):
        foreign.push(language, refused)
    assert unique.holder("Email", ARGS) is None


@pytest.mark.parametrize("worker", LANGUAGES)
def test_job_pushed_here_releases_its_lock_there(foreign, unique, push, worker):
    result = push(*ARGS)
    output = foreign.work(worker, "Email")
    wait_for(lambda: unique.holder("Email", ARGS) is None)
    assert result.jid in output.read_text(encoding="utf-8")
    assert push(*ARGS)


@pytest.mark.parametrize("producer", LANGUAGES)
@pytest.mark.parametrize("worker", ["python", *LANGUAGES])
def test_job_pushed_there_releases_its_lock_in_any_worker(
    foreign, faktory_url, unique, producer, worker
):
    foreign.push(producer, job("job-of-theirs", *ARGS))
    assert unique.holder("Email", ARGS)
    if worker == "python":
        with Client(faktory_url, role="consumer") as client:
            consumer = LocalConsumer(client, middleware=[unique])
            consumer.register("Email", lambda *_args: None)
            with running_consumer(consumer):
                wait_for(lambda: unique.holder("Email", ARGS) is None)
    else:
        foreign.work(worker, "Email")
        wait_for(lambda: unique.holder("Email", ARGS) is None)


@pytest.mark.parametrize("worker", LANGUAGES)
def test_lock_stands_until_the_ack_is_answered(foreign, new_faktory, unique, worker):
    faktory = new_faktory()
    foreign.environment["FAKTORY_URL"] = faktory.url
    with Client(faktory.url) as client:
        result = Producer(client, [unique]).push(Job(jobtype="Email", args=["wait", 1]))
    output = foreign.work(worker, "Email")
    wait_for(lambda: result.jid in output.read_text(encoding="utf-8"))
    faktory.pause()
    time.sleep(2)  # the handler is done, and its ACK is on its way
    assert unique.holder("Email", ["wait", 1]).owner == result.jid
    faktory.resume()
    wait_for(lambda: unique.holder("Email", ["wait", 1]) is None)


@pytest.mark.parametrize("worker", LANGUAGES)
def test_second_ack_of_a_job_is_not_counted(foreign, faktory_server, client, unique, push, worker):
    def processed():
        return json.loads(faktory_server.ask("INFO")[0])["faktory"]["total_processed"]

    before = processed()
    for n in range(20):
        push(n)
    foreign.work(worker, "Email")
    wait_for(lambda: list(unique.locks()) == [])
    wait_for(lambda: sizes(client).working == 0)
    time.sleep(0.5)  # the second ACK of the last job has come by now
    assert processed() - before == 20


@pytest.mark.parametrize("worker", LANGUAGES)
def test_failed_job_keeps_its_lock(foreign, client, unique, push, worker):
    result = push("fail")
    foreign.work(worker, "Email")
    wait_for(lambda: sizes(client).retries == 1)
    assert unique.holder("Email", ["fail"]).owner == result.jid
    assert push("fail").jid == result.jid


@pytest.mark.parametrize("worker", LANGUAGES)
def test_lock_of_another_owner_is_left_alone(foreign, client, unique, push, redis_url, worker):
    result = push(*ARGS)
    with Redis.from_url(redis_url) as redis:
        redis.set(result.key, "another-owner", ex=60)
    output = foreign.work(worker, "Email")
    wait_for(lambda: result.jid in output.read_text(encoding="utf-8"))
    push(7)
    wait_for(lambda: unique.holder("Email", [7]) is None)
    assert unique.holder("Email", ARGS).owner == "another-owner"


@pytest.mark.parametrize("worker", LANGUAGES)
@pytest.mark.parametrize("until", ["start", "expiry"])
def test_worker_follows_until(foreign, client, unique, push, worker, until):
    """`start` releases the lock before the handler, which fails; `expiry` does not release it."""
    args = ["fail"] if until == "start" else [1]
    jid = push(*args, jobtype=until).jid
    output = foreign.work(worker, until)
    wait_for(lambda: jid in output.read_text(encoding="utf-8"))
    wait_for(lambda: not (sizes(client).working or sizes(client).queues.get("default")))
    assert (unique.holder(until, args) is None) == (until == "start")


@pytest.mark.parametrize("worker", LANGUAGES)
@pytest.mark.parametrize("enforce", [True, False])
def test_job_is_requeued_if_its_lock_cannot_be_released(
    foreign, client, redis_url, worker, enforce
):
    """No retry is spent: the job has none. A job that is only observed does not wait."""
    stamp = {
        "v": 2,
        "key": "unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw",
        "owner": "job-0001",
        "until": "start",
        "ttl": 60,
    }
    with Redis.from_url(redis_url) as redis:
        redis.rpush(stamp["key"], "a type that makes each command an error")
        output = foreign.work(worker, "Email")
        custom = {"unique": {**stamp, "enforce": enforce}}
        job = Job(jid="job-0001", jobtype="Email", args=[], retry=0, custom=custom)
        Producer(client).push(job)
        if enforce:
            wait_for(lambda: sizes(client).scheduled)
            wait_for(lambda: not sizes(client).working)
            redis.set(stamp["key"], "job-0001", ex=60)
            wait_for(lambda: not sizes(client).scheduled)
            wait_for(lambda: sum(sizes(client).queues.values()) + sizes(client).working == 0)
        else:
            wait_for(lambda: "job-0001" in output.read_text(encoding="utf-8"))
        assert ("job-0001" in output.read_text(encoding="utf-8")) == (not enforce)
        assert redis.exists(stamp["key"]) == (not enforce)


@pytest.mark.parametrize("worker", LANGUAGES)
def test_stamp_of_a_later_version_is_left_alone(foreign, client, redis_url, worker):
    stamp = {
        "v": 3,
        "key": "unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw",
        "owner": "job-of-the-future",
        "until": "success",
    }
    with Redis.from_url(redis_url) as redis:
        redis.set(stamp["key"], stamp["owner"])
        job = Job(jobtype="Email", args=[], custom={"unique": stamp})
        Producer(client).push(job)
        output = foreign.work(worker, "Email")
        wait_for(lambda: job.jid in output.read_text(encoding="utf-8"))
        wait_for(lambda: sizes(client).working == 0)
        assert redis.get(stamp["key"]) == b"job-of-the-future"


@pytest.mark.parametrize("worker", LANGUAGES)
def test_copy_requeued_here_releases_the_lock_there(
    foreign, faktory_url, client, unique, push, worker
):
    """The copy has a jid of its own, and its owner's lock."""
    result = push(*ARGS)

    def not_yet(*_args):
        raise RetryLater(2)

    with Client(faktory_url, role="consumer") as consuming:
        consumer = LocalConsumer(consuming, middleware=[unique])
        consumer.register("Email", not_yet)
        with running_consumer(consumer):
            wait_for(lambda: sizes(client).scheduled == 1)
    assert unique.holder("Email", ARGS).owner == result.jid
    output = foreign.work(worker, "Email")
    wait_for(lambda: unique.holder("Email", ARGS) is None)  # due jobs move every 5 s
    assert result.jid not in output.read_text(encoding="utf-8")


@pytest.mark.parametrize("worker", LANGUAGES)
def test_all_jobs_run_if_the_worker_ignores_side_keys(foreign, unique, push, worker):
    """Replaced jobs run, too; the lock is released by the job that owns it."""
    results = [push("same", jobtype="newest") for _ in range(3)]
    output = foreign.work(worker, "newest")
    wait_for(lambda: all(r.jid in output.read_text(encoding="utf-8") for r in results))
    assert [r.replaced for r in results] == [None, results[0].jid, results[1].jid]
    wait_for(lambda: unique.holder("newest", ["same"]) is None)


@pytest.mark.parametrize("worker", LANGUAGES)
def test_lock_lapses_with_a_worker_that_knows_nothing(
    foreign, client, unique, push, redis_url, worker
):
    """The job runs once."""
    result = push(*ARGS)
    output = foreign.work(worker, "plain", "Email")
    wait_for(lambda: result.jid in output.read_text(encoding="utf-8"))
    wait_for(lambda: sizes(client).working == 0)
    assert push(*ARGS).jid == result.jid
    assert TTL - 60 < unique.holder("Email", ARGS).ttl <= TTL
    with Redis.from_url(redis_url) as redis:
        redis.pexpire(result.key, 1)
        wait_for(lambda: unique.holder("Email", ARGS) is None)
    again = push(*ARGS)
    assert again.status == "pushed"
    wait_for(lambda: again.jid in output.read_text(encoding="utf-8"))
    assert output.read_text(encoding="utf-8").count(result.jid) == 1
