"""FakeFaktory as its users see it: looking, asserting, working, and one clock for all."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from unittest.mock import ANY

import pytest

from faktory_unique import (
    AuthenticationFailed,
    Client,
    CommandNotSent,
    Consumer,
    Drop,
    Job,
    Middleware,
    Policy,
    Producer,
    ReportStatus,
    Requeue,
    RetryLater,
    Unique,
    current_job,
)
from faktory_unique.testing import Clock, FakeFaktory

START = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.fixture
def fake():
    """A fake whose clock stands still."""
    faktory = FakeFaktory(Clock(START), seed=1)
    yield faktory
    faktory.close()


@pytest.fixture
def unique(fake):
    return Unique(store=fake.store, default=Policy(ttl=600, lease=60))


@pytest.fixture
def producer(fake, unique):
    return Producer(fake.client(), [unique])


@pytest.fixture
def consumer(fake, unique):
    consumer = fake.consumer(["default", "mail"], priority="strict", middleware=[unique])
    consumer.register("Note", lambda *_: None)

    def fail(message="boom"):
        raise ValueError(message)

    consumer.register("Fail", fail)
    return consumer


def in_an_hour():
    return (START + timedelta(hours=1)).isoformat()


def _interrupt(_seconds):
    raise KeyboardInterrupt


class TestLooking:
    def test_jobs_are_those_in_queues_in_the_order_in_which_they_run(self, fake, producer):
        for n in range(3):
            producer.push(Job(jobtype="Note", args=[n]))
        producer.push(Job(jobtype="Note", args=["later"], at=in_an_hour()))
        assert [job["args"] for job in fake.jobs] == [[0], [1], [2]]
        assert [job["args"] for job in fake.scheduled] == [["later"]]

    def test_they_can_be_had_by_jobtype_and_by_queue(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[1], queue="mail"))
        producer.push(Job(jobtype="Other", args=[2]))
        assert [job["jobtype"] for job in fake.jobs_for("Note")] == ["Note"]
        assert [job["args"] for job in fake.queue("mail")] == [[1]]
        assert fake.queue("unheard-of") == []

    def test_args_are_what_the_server_makes_of_them(self, fake):
        Producer(fake.client()).push(Job(jobtype="Note", args=[1.0, 2**53 + 1, {"b": 1, "a": 2}]))
        assert fake.jobs[0]["args"] == [1, 2**53, {"a": 2, "b": 1}]
        assert type(fake.jobs[0]["args"][0]) is int

    def test_a_job_that_is_worked_stands_in_working(self, fake, producer, consumer):
        seen = []
        consumer.register("Note", lambda: seen.extend(fake.working))
        result = producer.push(Job(jobtype="Note", args=[]))
        fake.drain(consumer)
        assert [job["jid"] for job in seen] == [result.jid]
        assert fake.working == []

    def test_locks_are_a_live_mapping(self, fake, producer, consumer):
        locks = fake.locks
        result = producer.push(Job(jobtype="Note", args=[]))
        lock = locks[result.key]
        assert (lock.owner, lock.leased, lock.ttl) == (result.jid, False, 600)
        assert list(locks) == [result.key]
        fake.drain(consumer)
        assert dict(locks) == {}

    def test_clear_forgets_jobs_and_locks(self, fake, producer, consumer):
        producer.push(Job(jobtype="Fail", args=[]))
        fake.drain(consumer)
        producer.push(Job(jobtype="Note", args=[]))
        fake.clear()
        assert (fake.jobs, fake.retries, dict(fake.locks)) == ([], [], {})
        assert producer.push(Job(jobtype="Note", args=[]))


class TestAsserting:
    def test_it_returns_the_jobs_that_fit(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[1]))
        producer.push(Job(jobtype="Note", args=[2], at=in_an_hour()))
        assert [job["args"] for job in fake.assert_enqueued("Note")] == [[1], [2]]
        assert len(fake.assert_enqueued("Note", args=(1,), queue="default", count=1)) == 1

    @pytest.mark.parametrize(
        ("args", "pushed", "fit"),
        [
            ((1, "a"), [1.0, "a"], True),
            ([True], [1], False),
            ([1], [True], False),
            ([{"a": (1, 2)}], [{"a": [1, 2]}], True),
            ([{"a": 1}], [{"a": 1, "b": 2}], False),
            ([1], [1, 2], False),
            ([ANY, {"id": ANY}], [1, {"id": 2}], True),
            ([None], [None], True),
            ([[]], [{}], False),
        ],
    )
    def test_args_are_compared_as_json_has_them(self, fake, args, pushed, fit):
        Producer(fake.client()).push(Job(jobtype="Note", args=pushed))
        if fit:
            fake.assert_enqueued("Note", args=args)
        else:
            fake.refute_enqueued("Note", args=args)

    def test_the_message_shows_what_was_enqueued(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[1, "a"], queue="mail"))
        producer.push(Job(jobtype="Other", args=[], at=in_an_hour()))
        with pytest.raises(AssertionError) as caught:
            fake.assert_enqueued("Note", args=[2, "a"], count=1)
        assert str(caught.value) == (
            "expected 1 Note(2, 'a') to be enqueued, found 0; there are\n"
            "  mail: Note(1, 'a')\n"
            "  default: Other() at 2026-01-31T10:00:00+00:00"
        )

    def test_it_says_so_when_nothing_is_enqueued(self, fake):
        with pytest.raises(AssertionError, match="at least one Note to be enqueued, found 0; noth"):
            fake.assert_enqueued("Note")

    def test_too_many_are_as_wrong_as_too_few(self, fake):
        Producer(fake.client()).push_bulk([Job(jobtype="Note", args=[]) for _ in range(2)])
        with pytest.raises(AssertionError, match="expected 1 Note to be enqueued, found 2"):
            fake.assert_enqueued("Note", count=1)

    def test_refuting_what_is_there_fails(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[]))
        with pytest.raises(AssertionError, match="expected 0 Note in queue 'default' to be enqu"):
            fake.refute_enqueued("Note", queue="default")


class TestWorking:
    def test_perform_one_works_the_oldest(self, fake, producer, consumer):
        jobs = [Job(jobtype="Note", args=[n]) for n in range(2)]
        producer.push_bulk(jobs)
        done = fake.perform_one(consumer)
        assert done
        assert (done.job["jid"], done.ran, done.error) == (jobs[0].jid, True, None)
        assert done.answer is ReportStatus.ACCEPTED
        assert len(fake.jobs) == 1

    def test_perform_one_says_that_nothing_waits_and_what_does_elsewhere(
        self, fake, producer, consumer
    ):
        producer.push(Job(jobtype="Fail", args=[]))
        fake.drain(consumer)
        with pytest.raises(
            LookupError,
            match=r"nothing waits .* default, mail; .* 1 in retries, 0 sche",
        ):
            fake.perform_one(consumer)

    def test_drain_works_what_jobs_push_meanwhile(self, fake, producer, consumer):
        consumer.register("Parent", lambda: producer.push(Job(jobtype="Note", args=["child"])))
        producer.push(Job(jobtype="Parent", args=[]))
        assert [done.job["jobtype"] for done in fake.drain(consumer)] == ["Parent", "Note"]

    def test_drain_ends_where_a_job_pushes_itself_for_ever(self, fake, consumer, monkeypatch):
        monkeypatch.setattr("faktory_unique.testing.inline_runner._MOST_DRAINED", 20)
        again = Producer(fake.client())
        consumer.register("Again", lambda: again.push(Job(jobtype="Again", args=[])))
        again.push(Job(jobtype="Again", args=[]))
        with pytest.raises(RuntimeError, match="does Again push itself"):
            fake.drain(consumer)

    def test_a_failed_job_waits_for_its_retry_with_its_lock(self, fake, producer, consumer):
        result = producer.push(Job(jobtype="Fail", args=["why"]))
        [done] = fake.drain(consumer)
        assert not done
        assert (done.error.errtype, done.error.message) == ("ValueError", "why")
        [job] = fake.retries
        failure = job["failure"]
        assert (failure["errtype"], failure["message"]) == ("ValueError", "why")
        assert (failure["retry_count"], failure["remaining"]) == (0, 25)
        assert "fail" in failure["backtrace"][-1]
        assert fake.locks[result.key].owner == result.jid

    def test_after_its_last_retry_a_job_is_dead(self, fake, producer, consumer):
        producer.push(Job(jobtype="Fail", args=[], retry=2))
        for _ in range(3):
            fake.drain(consumer)
            fake.advance(minutes=5)
        assert fake.jobs == fake.retries == []
        assert [job["failure"]["retry_count"] for job in fake.dead] == [2]

    def test_what_the_handler_raised_can_be_had(self, fake, producer, consumer):
        producer.push(Job(jobtype="Fail", args=["why"]))
        with pytest.raises(ValueError, match="why"):
            fake.drain(consumer, reraise=True)
        assert len(fake.retries) == 1

    def test_sys_exit_costs_that_job_alone(self, fake, producer, consumer):
        def leave():
            raise SystemExit(3)

        consumer.register("Leave", leave)
        producer.push(Job(jobtype="Leave", args=[]))
        producer.push(Job(jobtype="Note", args=[]))
        assert [bool(done) for done in fake.drain(consumer)] == [False, True]

    def test_what_is_meant_for_the_test_runner_reaches_it(self, fake, producer, consumer):
        """pytest.fail() and Ctrl-C raise what is no Exception; the job counts as failed."""
        consumer.register("Assert", lambda: pytest.fail("seen"))
        producer.push(Job(jobtype="Assert", args=[]))
        with pytest.raises(pytest.fail.Exception, match="seen"):
            fake.drain(consumer)
        assert len(fake.retries) == 1

    def test_a_jobtype_without_a_handler_fails(self, fake, producer, consumer):
        producer.push(Job(jobtype="Unheard", args=[]))
        [done] = fake.drain(consumer)
        assert (done.ran, done.error.errtype) == (False, "NoHandler")

    def test_middleware_decides_before_the_handler_and_stands_around_it(self, fake, producer):
        order = []

        class Trace(Middleware):
            def fetch(self, job, call_next):
                order.append("fetch")
                return call_next(job)

            def perform(self, job, call_next):
                order.append("perform")
                return call_next(job)

            def ack(self, job, call_next):
                answer = call_next(job)
                order.append(f"ack {answer.value}")
                return answer

        consumer = fake.consumer(middleware=[Trace()])
        consumer.register("Note", lambda: order.append("handler"))
        producer.push(Job(jobtype="Note", args=[]))
        fake.drain(consumer)
        assert order == ["fetch", "perform", "handler", "ack accepted"]

    def test_a_requeue_is_due_by_the_fakes_clock(self, fake, producer):
        class Later(Middleware):
            def fetch(self, job, call_next):
                return call_next(job) if "at" in job else Requeue(60)

        consumer = fake.consumer(middleware=[Later()])
        consumer.register("Note", lambda: None)
        fake.advance(days=1)
        producer.push(Job(jobtype="Note", args=[]))
        [done] = fake.drain(consumer)
        assert (done.ran, done.error, done.answer) == (False, None, ReportStatus.ACCEPTED)
        assert [job["at"] for job in fake.scheduled] == ["2026-02-01T09:01:00+00:00"]
        fake.advance(65)
        assert [bool(done) for done in fake.drain(consumer)] == [True]

    def test_a_dropped_job_is_acknowledged_unrun(self, fake, producer):
        class No(Middleware):
            def fetch(self, job, call_next):
                return Drop("no")

        consumer = fake.consumer(middleware=[No()])
        consumer.register("Note", lambda: None)
        producer.push(Job(jobtype="Note", args=[]))
        [done] = fake.drain(consumer)
        assert (bool(done), done.ran, done.answer) == (False, False, ReportStatus.ACCEPTED)
        assert fake.working == []

    def test_any_consumer_will_do_wherever_its_client_leads(self, fake, producer, unique):
        consumer = Consumer(Client("tcp://127.0.0.1:1", role="consumer"), middleware=[unique])
        consumer.register("Note", print)
        producer.push(Job(jobtype="Note", args=[]))
        assert [bool(done) for done in fake.drain(consumer)] == [True]
        assert dict(fake.locks) == {}

    def test_what_is_no_consumer_of_ours_is_named(self, fake):
        with pytest.raises(TypeError, match=r"use Consumer\.wrap"):
            fake.drain({"Note": print})


class TestTime:
    def test_one_clock_promotes_and_lapses(self, fake, producer):
        result = producer.push(Job(jobtype="Note", args=[], at=in_an_hour()))
        assert fake.locks[result.key].ttl == 3600 + 10 + 600
        fake.advance(minutes=59)
        assert fake.jobs == []
        fake.advance(minutes=1, seconds=5)
        assert len(fake.jobs) == 1
        fake.advance(minutes=10, seconds=4)
        assert len(fake.locks) == 1
        fake.advance(1)
        assert dict(fake.locks) == {}

    def test_a_reservation_expires_and_the_job_is_retried(self, fake, producer, consumer):
        """As after a worker's death: the expiry is a failure."""
        producer.push(Job(jobtype="Note", args=[], reserve_for=60))
        worker = fake.client("consumer")
        assert worker._fetch(["default"])["jobtype"] == "Note"
        fake.advance(60 + 15)
        assert [job["failure"]["errtype"] for job in fake.retries] == ["ReservationExpired"]
        fake.advance(15 + 29 + 5)
        assert [bool(done) for done in fake.drain(consumer)] == [True]

    def test_a_handler_that_outlasts_its_reservation_is_not_acknowledged(
        self, fake, producer, consumer
    ):
        consumer.register("Slow", lambda: fake.advance(hours=1))
        result = producer.push(Job(jobtype="Slow", args=[], reserve_for=60))
        [done] = fake.drain(consumer)[:1]
        assert done.answer is ReportStatus.WITHHELD
        assert [job["jid"] for job in fake.jobs + fake.retries] == [result.jid]

    def test_a_running_clock_promotes_by_itself(self):
        with FakeFaktory() as fake:
            at = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
            Producer(fake.client()).push(Job(jobtype="Note", args=[], at=at))
            fake.client("consumer", beat_period=5)
            assert fake.jobs == []
            fake.advance(5.5)
            assert len(fake.jobs) == 1

    def test_backoffs_are_the_same_for_the_same_seed(self):
        def next_ats(seed):
            fake = FakeFaktory(Clock(START), seed=seed)
            consumer = fake.consumer()
            Producer(fake.client()).push_bulk([Job(jobtype="X", args=[]) for _ in range(9)])
            fake.drain(consumer)
            fake.close()
            return [job["failure"]["next_at"][:19] for job in fake.retries]

        assert next_ats(7) == next_ats(7) != next_ats(8)

    def test_a_clock_does_not_go_back(self, fake):
        with pytest.raises(ValueError, match="never put back"):
            fake.advance(-1)

    def test_a_clock_wants_a_time_zone(self):
        with pytest.raises(ValueError, match="no time zone"):
            Clock(datetime(2026, 1, 1))  # noqa: DTZ001

    def test_connected_workers_survive_an_advance(self, fake):
        """They would have sent heartbeats: the server closes whoever is silent for a minute."""
        worker = fake.client("consumer")
        fake.advance(hours=1)
        assert worker._commands.connection._shared_stream().stream.is_idle()
        assert worker.info()["faktory"]["tasks"]["Workers"]["size"] == 1

    def test_workers_are_forgotten_where_the_clock_runs_without_them(self, fake):
        worker = fake.client("consumer")
        fake.clock.advance(hours=1)
        assert fake.jobs == []
        assert not worker._commands.connection._shared_stream().stream.is_idle()


class TestReaching:
    def test_clients_of_this_process_need_no_socket(self, fake, monkeypatch):
        monkeypatch.setattr("socket.socket", None)
        with Client(fake.url) as client:
            assert Producer(client).push(Job(jobtype="Note", args=[]))
        assert fake.url.startswith("tcp://fake-")

    def test_listening_changes_its_url_and_both_lead_to_it(self):
        faktory = FakeFaktory()
        before = faktory.url
        with faktory:
            assert faktory.url.startswith("tcp://127.0.0.1:")
            for url in (before, faktory.url):
                with Client(url) as client:
                    Producer(client).push(Job(jobtype="Note", args=[]))
            assert len(faktory.jobs) == 2

    def test_a_password_is_asked_for(self):
        with FakeFaktory(password="s3cret/?") as faktory:
            assert Producer(faktory.client()).push(Job(jobtype="Note", args=[]))
            with pytest.raises(AuthenticationFailed, match="asks for a password"):
                Client(faktory.url.replace(":s3cret%2F%3F@", "")).connect()
            with pytest.raises(AuthenticationFailed, match="Invalid password"):
                Client(faktory.url.replace("s3cret", "wr0ng")).connect()
            assert "s3cret" not in repr(faktory)

    def test_after_close_nothing_reaches_it_and_it_can_still_be_looked_at(self, fake, producer):
        producer.push(Job(jobtype="Note", args=[]))
        fake.close()
        with pytest.raises(CommandNotSent):
            producer.push(Job(jobtype="Note", args=["more"]))
        assert len(fake.jobs) == 1

    def test_threads_may_push_at_once(self, fake, producer):
        def push(n):
            for i in range(25):
                producer.push(Job(jobtype="Note", args=[n % 2, i]))

        threads = [threading.Thread(target=push, args=[n]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(fake.jobs) == len(fake.locks) == 50

    def test_a_fetch_that_was_interrupted_takes_no_job_with_it(self, fake, monkeypatch):
        """By a Ctrl-C in a client of this process: nobody would work the job."""
        worker = fake.client("consumer")
        with monkeypatch.context() as interrupted:
            interrupted.setattr(fake._core.enqueued, "wait", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                worker._fetch(["default"])
        Producer(fake.client()).push(Job(jobtype="Note", args=[]))
        assert len(fake.jobs) == 1

    def test_a_fetch_that_waits_is_woken_by_a_push(self, fake):
        got = []
        worker = fake.client("consumer")
        thread = threading.Thread(target=lambda: got.append(worker._fetch(["default"])))
        thread.start()
        Producer(fake.client()).push(Job(jobtype="Note", args=["woken"]))
        thread.join(1.5)
        assert [job["args"] for job in got] == [["woken"]]


class TestWrongUse:
    def test_nothing_is_worked_on_a_closed_fake(self, fake, producer, consumer):
        producer.push(Job(jobtype="Note", args=[]))
        fake.close()
        for use in (fake.listen, fake.client, lambda: fake.drain(consumer)):
            with pytest.raises(RuntimeError, match="this fake Faktory is closed"):
                use()

    @pytest.mark.parametrize(
        ("wanted", "told"),
        [
            ({"args": "ab"}, "args: 'ab' is no list"),
            ({"args": 4}, "args: 4 is no list"),
            ({"args": {"a": 1}}, "args: {'a': 1} is no list"),
            ({"jobtype": Job}, "jobtype: <class .* is no text"),
        ],
    )
    def test_what_could_never_fit_is_refused(self, fake, wanted, told):
        """It would pass as a refutation."""
        with pytest.raises(TypeError, match=told):
            fake.refute_enqueued(**{"jobtype": "Note", **wanted})

    @pytest.mark.parametrize("clock", [5, START])
    def test_what_is_no_clock_is_named(self, clock):
        with pytest.raises(TypeError, match=r"is no Clock; pass Clock\("):
            FakeFaktory(clock)
        with pytest.raises(TypeError, match="a clock starts at a datetime"):
            Clock("2026-01-31")

    def test_reraise_tells_of_a_handler_that_is_not_registered(self, fake, producer, consumer):
        producer.push(Job(jobtype="Nope", args=[]))
        with pytest.raises(RuntimeError, match="Nope: NoHandler: no handler is registered"):
            fake.drain(consumer, reraise=True)

    @pytest.mark.parametrize("elsewhere", [True, False])
    def test_a_worker_that_frees_no_lock_is_warned_of(self, fake, producer, caplog, elsewhere):
        """Its Unique is forgotten, or holds its locks in another store."""
        others = [Unique(store="memory://")] if elsewhere else []
        consumer = fake.consumer(middleware=others)
        consumer.register("Note", lambda: None)
        result = producer.push(Job(jobtype="Note", args=[]))
        fake.drain(consumer)
        assert f"lock is left to its TTL: key={result.key}" in caplog.text

    def test_a_worker_that_frees_its_locks_is_not_warned_of(self, fake, producer, consumer, caplog):
        producer.push_bulk([Job(jobtype="Note", args=[]), Job(jobtype="Fail", args=[])])
        fake.drain(consumer)
        assert "lock is left" not in caplog.text

    def test_no_address_leads_to_a_closed_fake(self):
        fake = FakeFaktory()
        urls = [fake.url, fake.listen()]
        fake.close()
        for url in urls:
            with pytest.raises(CommandNotSent):
                Client(url, timeout=2).connect()

    def test_what_waits_for_a_retry_is_told_with_a_failed_assertion(self, fake, producer, consumer):
        producer.push(Job(jobtype="Fail", args=[]))
        fake.drain(consumer)
        with pytest.raises(AssertionError, match=r"nothing is enqueued\n\(1 in retries\)"):
            fake.assert_enqueued("Fail")


@pytest.mark.parametrize("duration", [5400, "1h30m", timedelta(minutes=90)])
def test_time_passes_by_durations_as_policies_have_them(fake, duration):
    fake.advance(duration)
    assert fake.clock.now() == START + timedelta(minutes=90)


def test_a_handler_that_wants_its_job_later_has_neither_failed_nor_done_it(faktory):
    def later(delay):
        raise RetryLater(delay)

    consumer = faktory.consumer()
    consumer.register("Later", later)
    with Client() as client:
        Producer(client).push(Job(jobtype="Later", args=["2m"]))
    [performed] = faktory.drain(consumer, reraise=True)
    assert not performed
    assert (performed.ran, performed.error, performed.delay) == (True, None, 120)
    assert (len(faktory.scheduled), len(faktory.working)) == (1, 0)


def test_inline_it_runs_again_when_it_is_due(faktory):
    runs = []

    def later():
        runs.append(current_job()["jid"])
        if len(runs) < 3:
            raise RetryLater(60)

    consumer = faktory.consumer()
    consumer.register("Later", later)
    with Client() as client, faktory.inline(consumer, reraise=True):
        Producer(client).push(Job(jobtype="Later", args=[]))
        assert len(runs) == 1
        faktory.advance(minutes=2)
        faktory.advance(minutes=2)
    assert len(set(runs)) == 3
    assert sum(map(len, (faktory.jobs, faktory.scheduled, faktory.working))) == 0


def test_inline_it_can_be_had_at_once_as_often_as_it_likes(faktory, unique_locks):
    """Each copy runs once the job before it is acknowledged, and not within its report."""
    runs = []

    def again():
        runs.append(len(faktory.working))
        if len(runs) < 500:
            raise RetryLater(0)

    consumer = faktory.consumer(middleware=[Unique(default=Policy())])
    consumer.register("Again", again)
    with Client() as client, faktory.inline(consumer, reraise=True):
        assert Producer(client, [Unique(default=Policy())]).push(Job(jobtype="Again", args=[]))
    assert runs == [1] * 500
    assert not unique_locks
