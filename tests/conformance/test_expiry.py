"""What a minute and a quarter brings: one set-up for all, as no reservation is shorter.

A reservation that is over fails its job like a FAIL (manager/working.go:191-239); the server looks
every fifteen seconds, for silent workers as well (server/task_runner.go:117-130).
"""

from datetime import datetime

import pytest

from .conftest import KINDS
from .wire import compact, job

pytestmark = pytest.mark.timeout(180)

EXPIRED = {"message": "Faktory job reservation expired", "errtype": "ReservationExpired"}

# Fields of the jobs that are fetched at the same time, by their jids.
RESERVED = {
    "job-sixty": {"reserve_for": 60, "args": [1.0], "custom": {"a": 1}},
    "job-second": {"reserve_for": 1},
    "job-minus": {"reserve_for": -5},
    "job-longer": {"reserve_for": 120},
    "job-unsaid": {},
    "job-no-retry": {"reserve_for": 60, "retry": 0},
    "job-to-dead": {"reserve_for": 60, "retry": -1},
    "job-last-retry": {
        "reserve_for": 60,
        "retry": 2,
        "failure": {
            "retry_count": 1,
            "remaining": 1,
            "failed_at": "f",
            "next_at": "n",
            "backtrace": ["b"],
            "errtype": "E",
            "message": "m",
        },
    },
    "job-next-retry": {
        "reserve_for": 60,
        "failure": {"retry_count": 1, "remaining": 1, "failed_at": "f", "backtrace": ["b"]},
    },
    "job-late-ack": {"reserve_for": 60},
    "job-late-fail": {"reserve_for": 60},
    "job-stolen": {"reserve_for": 60},
    "job-bad-queue": {"reserve_for": 60, "queue": "gone"},
}


class Aged:
    """The server when all short reservations are over, and what was said and told since."""

    def __init__(self, server):
        self.server = server
        server.stand_between(15)
        self.fetch_all()
        self.wait()
        self.look()

    def fetch_all(self):
        server = self.server
        self.silent, self.beating = server.worker(), server.worker()
        worker = self.silent
        jobs = [job(jid, **fields) for jid, fields in RESERVED.items()]
        jobs += [
            job("job-twice", args=[1], reserve_for=60),
            job("job-twice", args=[2], reserve_for=60),
            job("job-uneven", args=[1], reserve_for=60),
            job("job-uneven", args=[2], reserve_for=120),
            job("job-of-nobody", reserve_for=60),
            job("job-backoff", queue="backoff"),
        ]
        assert worker.ask(f"PUSHB {compact(jobs)}") == "{}"
        self.tasks_before = worker.info()["faktory"]["tasks"]
        self.start = server.now()
        self.fetched = [worker.fetch() for _ in jobs[:-3]]
        self.producer = server.producer()
        assert self.producer.fetch()["jid"] == "job-of-nobody"
        worker.fetch("gone")
        worker.fetch("backoff")
        worker.fail("job-backoff")
        worker.ask("QUEUE REMOVE gone")
        self.processed_before = worker.info()["faktory"]["total_processed"]

    def wait(self):
        """Until the reaper came, in which the silent worker's queue of a retry fills, too."""
        promoted = []

        def reaped():
            assert self.beating.beat(self.beating.wid) == "+OK"
            self.info = self.beating.info()["faktory"]
            if self.info["queues"].get("backoff") and not promoted:
                promoted.append(self.server.now() - self.start)
            return self.info["sets"]["working"] == 3 and promoted

        self.server.until(reaped, 100, self.server.be_silent)
        self.seconds = self.server.now() - self.start
        self.promoted_after = promoted[0]

    def look(self):
        """At what is in retries and dead, by bringing it back, and what late reports do."""
        line = self.beating
        self.late_ack = line.ack("job-late-ack")
        self.late_fail = line.fail("job-late-fail")
        line.mutate("requeue", "dead")
        self.dead = self.bring_all("default")
        line.mutate("requeue", "retries")
        self.retries = self.bring_all("default", "gone")
        self.steal = line.fail("job-stolen", errtype="Late")
        self.robbed = line.fail("job-stolen")

    def bring_all(self, *queues):
        told = {}
        while any(self.beating.queues().get(name) for name in queues):
            payload = self.beating.fetch(*queues)
            told[payload["jid"]] = payload
        return told


@pytest.fixture(scope="module", params=KINDS)
def aged(request):
    server = request.getfixturevalue(f"{request.param}_server")
    server.clean()
    yield Aged(server)
    server.clean()
    server.end_lines()


def test_time_that_it_took(aged):
    """A minute after FETCH a reservation is over, and within a quarter of one it is found to be."""
    assert 60 <= aged.seconds < 78


@pytest.mark.parametrize("jid", ["job-sixty", "job-second", "job-minus"])
def test_expired(aged, jid):
    """A reservation of a minute or less, which is a minute too, has failed its job."""
    told = aged.retries[jid]
    failure = told["failure"]
    failed_at, next_at = (
        datetime.fromisoformat(failure[name]).timestamp() for name in ("failed_at", "next_at")
    )
    assert 60 <= failed_at - aged.start < 78
    assert 15 <= next_at - failed_at <= 44.1
    assert {name: failure[name] for name in EXPIRED} == EXPIRED
    assert (failure["retry_count"], failure["remaining"], "backtrace" in failure) == (0, 25, False)


def test_payload_of_an_expired_job(aged):
    """The rest of the job is as it was fetched."""
    told = dict(aged.retries["job-sixty"])
    del told["failure"]
    assert told == next(payload for payload in aged.fetched if payload["jid"] == "job-sixty")


@pytest.mark.parametrize("jid", ["job-longer", "job-unsaid"])
def test_not_expired(aged, jid):
    """A longer reservation, and one of which nothing was said, goes on."""
    assert jid not in aged.retries
    assert aged.beating.fail(jid) == "+OK"


def test_no_retry(aged):
    """A job of no retries is gone."""
    assert "job-no-retry" not in aged.retries | aged.dead
    assert aged.beating.fail("job-no-retry") == "-ERR Job not found job-no-retry"


def test_dead(aged):
    """Those that are out of retries are dead."""
    assert set(aged.dead) == {"job-to-dead", "job-last-retry"}


def test_failure_of_the_dead(aged):
    """A dead job says what it has died of; nothing of a retry."""
    failure = aged.dead["job-to-dead"]["failure"]
    assert failure.pop("failed_at")
    assert failure == EXPIRED | {"retry_count": 0, "remaining": -1}


def test_last_retry(aged):
    """An expiry counts on from the failures before, and replaces their words."""
    assert aged.dead["job-last-retry"]["failure"] == EXPIRED | {
        "failed_at": "f",
        "next_at": "n",
        "retry_count": 2,
        "remaining": 0,
    }


def test_next_retry(aged):
    """The same where there are retries left: a later one comes later."""
    failure = aged.retries["job-next-retry"]["failure"]
    next_at = datetime.fromisoformat(failure.pop("next_at")).timestamp() - aged.start
    assert 60 + 31 <= next_at <= 78 + 31 + 87
    assert failure == EXPIRED | {"failed_at": "f", "retry_count": 2, "remaining": 0}


def test_late_ack(aged):
    """The ACK of an expired job is +OK, and its retry comes all the same."""
    assert aged.late_ack == "+OK"
    assert "job-late-ack" in aged.retries


def test_late_fail(aged):
    """The FAIL of an expired job finds no job; its retry is the one of the expiry."""
    assert aged.late_fail == "-ERR Job not found job-late-fail"
    assert aged.retries["job-late-fail"]["failure"]["errtype"] == "ReservationExpired"


def test_late_fail_steals_the_next_run(aged):
    """A late FAIL while another worker has the job again is +OK, and that one's finds no job."""
    assert aged.steal == "+OK"
    assert aged.robbed == "-ERR Job not found job-stolen"


def test_removed_queue(aged):
    """A job whose queue was removed meanwhile is brought back into it."""
    assert aged.retries["job-bad-queue"]["queue"] == "gone"


def test_fetched_by_a_producer(aged):
    """What a producer has fetched expires like all else."""
    assert aged.retries["job-of-nobody"]["failure"]["errtype"] == "ReservationExpired"


def test_same_jid_twice(aged):
    """Of two copies with one jid, one is retried, the later one; the other is lost."""
    assert aged.retries["job-twice"]["args"] == [2]


def test_same_jid_for_longer(aged):
    """The expiry of a copy fails the other one, long before that one's reservation is over."""
    assert aged.retries["job-uneven"]["args"] == [2]


def test_left_in_the_working_set(aged):
    """What is reserved for longer is left in the working set, for one of them to no avail."""
    assert aged.info["sets"]["working"] == 3  # job-longer, job-unsaid, job-uneven
    assert aged.info["tasks"]["Busy"]["size"] == 2  # job-longer, job-unsaid


def test_sizes(aged):
    """Every job is somewhere, or nowhere, as told."""
    assert (aged.info["sets"]["retries"], aged.info["sets"]["dead"]) == (len(aged.retries), 2)
    assert len(aged.retries) == 11


def test_counts(aged):
    """An expiry counts as a job processed and as a failure; a lost copy counts as none."""
    reaped = aged.info["tasks"]["Busy"]["reaped"] - aged.tasks_before["Busy"]["reaped"]
    assert reaped == 14
    assert aged.info["total_failures"] == 1 + reaped
    assert aged.info["total_processed"] - aged.processed_before == reaped


def test_retry_by_itself(aged):
    """A job that has failed once is back in its queue after 15 to 44 seconds, and up to 5 more."""
    assert 15 <= aged.promoted_after < 50.5
    told = aged.beating.fetch("backoff")
    assert told["failure"]["errtype"] == "unknown"
    next_at = told["failure"]["next_at"]
    assert next_at <= told["enqueued_at"]


def test_silent_worker(aged):
    """A worker that was not heard of for a minute has its connections closed."""
    assert aged.silent.reply() is None


def test_silent_worker_is_forgotten(aged):
    """It is forgotten, and counted."""
    wid = aged.silent.wid
    assert aged.beating.beat(wid) == f"-ERR unknown worker {wid}"
    before, now = aged.tasks_before["Workers"], aged.info["tasks"]["Workers"]
    assert (now["reaped"] - before["reaped"], now["size"] - before["size"]) == (1, -1)


def test_silent_worker_may_come_back(aged):
    """It may come back under its id."""
    wid = aged.silent.wid
    assert aged.server.worker(wid).beat(wid) == "+OK"


def test_beating_worker(aged):
    """A worker that was heard of is there."""
    assert aged.beating.beat(aged.beating.wid) == "+OK"


def test_silent_producer(aged):
    """A producer may be silent for as long as it likes."""
    assert aged.producer.ask("PUSHB []") == "{}"
