"""What may be said of a fetched job, and when (docs/design.md §5).

The client is scripted and the FETCH dated back: a real reservation takes a minute at least.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

import pytest

from faktory_unique import Answer, JobError, NotSent, OutcomeUnknown, Refused
from faktory_unique.faktory.reservation import Reservation

JOB = {
    "jid": "jid-00000001",
    "jobtype": "Email",
    "args": [1],
    "queue": "mail",
    "reserve_for": 60,
    "retry": 3,
    "at": "2026-01-31T09:00:00Z",
    "enqueued_at": "2026-01-31T09:00:00Z",
    "failure": {"retry_count": 1},
    "custom": {"unique": {"owner": "o"}, "unique_for": 60, "unique_until": "start", "mine": 1},
}


class Client:
    """Answers each command with the next of the script, the last one for ever."""

    def __init__(self, *script):
        self.script = list(script)
        self.sent = []

    def now(self):
        return time.time()

    def call(self, command, not_after=None):
        assert not_after is None or not_after > time.monotonic()
        self.sent.append(command)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def push_batch(self, payloads):
        answer = self.call(f"PUSHB {json.dumps(payloads)}")
        return json.loads(answer)

    @property
    def verbs(self):
        return [command.split()[0] for command in self.sent]


def reservation(client, elapsed=0.0, job=JOB, giving_up=None):
    since = time.monotonic() - elapsed, time.time() - elapsed
    return Reservation(client, job, since, giving_up or threading.Event())


ERROR = JobError("ValueError", "why", ("line",))


@pytest.mark.parametrize(
    ("asked", "expected"), [(None, 1800), (0, 1800), (5, 60), (60, 60), (900, 900), (10**6, 86_400)]
)
def test_reserve_for_is_what_the_server_makes_of_it(asked, expected):
    assert reservation(Client(None), job={**JOB, "reserve_for": asked}).reserve_for == expected


def test_elapsed_is_the_larger_of_two_clocks():
    """One of them may stop while the machine sleeps."""
    slept = Reservation(Client(None), JOB, (time.monotonic(), time.time() - 500), threading.Event())
    jumped = Reservation(
        Client(None), JOB, (time.monotonic() - 500, time.time()), threading.Event()
    )
    assert slept.elapsed() >= 500
    assert jumped.elapsed() >= 500


class TestAck:
    def test_in_time_an_ok_is_accepted(self):
        client = Client("+OK")
        assert reservation(client).ack(JOB) is Answer.ACCEPTED
        assert client.sent == ['ACK {"jid": "jid-00000001"}']

    def test_a_little_late_it_is_sent_and_its_ok_proves_nothing(self):
        client = Client("+OK")
        assert reservation(client, elapsed=62).ack(JOB) is Answer.LATE
        assert client.verbs == ["ACK"]

    def test_later_still_it_is_not_sent(self):
        """Another worker may have the job by then, and the ACK would end its reservation."""
        client = Client("+OK")
        assert reservation(client, elapsed=70).ack(JOB) is Answer.WITHHELD
        assert client.sent == []

    def test_unanswered_it_is_sent_again_while_in_time(self):
        client = Client(OutcomeUnknown("cut"), NotSent("away"), "+OK")
        assert reservation(client).ack(JOB) is Answer.ACCEPTED
        assert client.verbs == ["ACK"] * 3

    def test_unanswered_late_it_is_not_sent_again(self):
        client = Client(OutcomeUnknown("cut"), "+OK")
        assert reservation(client, elapsed=61).ack(JOB) is Answer.UNKNOWN
        assert client.verbs == ["ACK"]

    def test_a_worker_that_gives_up_tries_once(self):
        giving_up = threading.Event()
        giving_up.set()
        client = Client(NotSent("away"))
        assert reservation(client, giving_up=giving_up).ack(JOB) is Answer.WITHHELD
        assert client.verbs == ["ACK"]

    def test_a_refusal_is_told(self):
        assert reservation(Client(Refused("invalid ACK"))).ack(JOB) is Answer.REFUSED

    def test_an_answer_that_is_no_ok_is_no_success(self):
        assert reservation(Client("$-1")).ack(JOB) is Answer.UNKNOWN


class TestFail:
    def test_it_tells_the_error(self):
        client = Client("+OK")
        assert reservation(client).fail(JOB, ERROR) is Answer.ACCEPTED
        verb, told = client.sent[0].split(" ", 1)
        assert verb == "FAIL"
        assert json.loads(told) == {
            "jid": "jid-00000001",
            "errtype": "ValueError",
            "message": "why",
            "backtrace": ["line"],
        }

    def test_unanswered_it_is_left_to_the_expiry(self):
        client = Client(OutcomeUnknown("cut"), "+OK")
        assert reservation(client).fail(JOB, ERROR) is Answer.UNKNOWN
        assert client.verbs == ["FAIL"]

    def test_without_a_connection_it_waits_for_one(self):
        client = Client(NotSent("away"), "+OK")
        assert reservation(client).fail(JOB, ERROR) is Answer.ACCEPTED

    def test_late_it_is_not_sent(self):
        client = Client("+OK")
        assert reservation(client, elapsed=70).fail(JOB, ERROR) is Answer.WITHHELD
        assert client.sent == []


class TestPutBack:
    def test_a_copy_under_a_new_jid_is_pushed_before_the_ack(self):
        client = Client("{}", "+OK")
        assert reservation(client).put_back(90) is Answer.ACCEPTED
        assert client.verbs == ["PUSHB", "ACK"]
        [copy] = json.loads(client.sent[0].split(" ", 1)[1])
        due = datetime.fromisoformat(copy.pop("at"))
        assert 88 < (due - datetime.now(UTC)).total_seconds() <= 90
        assert copy.pop("jid") != JOB["jid"]
        kept = {n: v for n, v in JOB.items() if n not in {"jid", "at", "enqueued_at", "custom"}}
        assert copy == {**kept, "custom": {"unique": {"owner": "o"}, "mine": 1}}

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (Refused("invalid JSON: x"), Answer.REFUSED),
            (Refused("internal error"), Answer.UNKNOWN),
            (NotSent("away"), Answer.WITHHELD),
            (OutcomeUnknown("cut"), Answer.UNKNOWN),
        ],
    )
    def test_what_did_not_surely_arrive_is_followed_by_no_ack(self, answer, expected):
        client = Client(answer)
        assert reservation(client).put_back(1) is expected
        assert client.verbs == ["PUSHB"]

    def test_a_copy_that_is_refused_by_name_is_told(self, monkeypatch):
        client = Client("{}")
        monkeypatch.setattr(
            client,
            "push_batch",
            lambda jobs: {jobs[0]["jid"]: "jobs cannot be reserved for more than one day"},
        )
        assert reservation(client).put_back(1) is Answer.REFUSED

    def test_a_refused_ack_is_no_refusal_of_the_copy(self):
        """The copy is there: a FAIL on top would run the job twice and spend a retry."""
        client = Client("{}", Refused("context deadline exceeded"))
        assert reservation(client).put_back(1) is Answer.UNKNOWN

    def test_late_nothing_is_sent(self):
        client = Client("{}")
        assert reservation(client, elapsed=60).put_back(1) is Answer.WITHHELD
        assert client.sent == []

    def test_a_copy_pushed_at_the_last_moment_is_followed_by_no_ack(self):
        """The expiry may have put the job back already; its next run has the same jid."""
        client = Client("{}", "+OK")
        held = reservation(client, elapsed=59.9)
        client.push_batch = lambda _jobs: time.sleep(0.2) or {}
        assert held.put_back(1) is Answer.WITHHELD
        assert client.sent == []
