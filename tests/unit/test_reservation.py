"""Which reports of a fetched job are sent, and when (docs/design.md §5).

Client and time are scripted: a real reservation takes a minute at least.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import inf

import pytest

from faktory_unique import (
    CommandNotSent,
    CommandOutcomeUnknown,
    CommandRefused,
    JobError,
    ReportStatus,
)
from faktory_unique.worker.reservation import Reservation

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
AWAY = CommandNotSent("away")
CUT = CommandOutcomeUnknown("cut")
FETCHED_AT = 1_800_000_000.0


class Clock:
    """The worker's time, instead of the module `time`. Jobs are fetched at `FETCHED_AT`."""

    now = FETCHED_AT

    def monotonic(self):
        return self.now


class Shutdown:
    """The event of a shutdown at a given second. A wait for it moves the clock, and is recorded."""

    def __init__(self, clock, second):
        self.clock, self.at, self.waits = clock, FETCHED_AT + second, []

    def is_set(self):
        return self.clock.now >= self.at

    def wait(self, seconds):
        self.waits.append(seconds)
        self.clock.now = max(self.clock.now, min(self.clock.now + seconds, self.at))
        return self.is_set()


class Client:
    """Replies to each command with the next reply of a script, and repeats the last one.

    Attributes:
        sent: the commands.
        sent_at: for each, the seconds since FETCH.
        limits: for each, the seconds since FETCH from which it must not be sent.
        seconds: how long each command takes.
    """

    def __init__(self, *script):
        self._commands = self
        self.script = list(script)
        self.sent, self.sent_at, self.limits = [], [], []
        self.max_timeout = None
        self.seconds = 0

    def now(self):
        return self.clock.now

    def call(self, command, *, not_after, max_timeout=None):
        assert len(self.sent) < 100, "it never gives up"
        self.sent.append(command)
        self.sent_at.append(self.clock.now - FETCHED_AT)
        self.limits.append(not_after - FETCHED_AT)
        self.max_timeout = max_timeout
        self.clock.now += self.seconds
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def push_batch(self, payloads, *, not_after):
        return json.loads(self.call(f"PUSHB {json.dumps(payloads)}", not_after=not_after))

    @property
    def verbs(self):
        return [command.split()[0] for command in self.sent]


@pytest.fixture
def reservation(monkeypatch):
    """Return a function that makes a reservation that began some seconds ago."""

    def make(client, elapsed=0.0, job=JOB, shutdown_at=inf):
        client.clock = Clock()
        monkeypatch.setattr("faktory_unique.worker.reservation.time", client.clock)
        client.shutdown = Shutdown(client.clock, shutdown_at)
        since = client.clock.monotonic(), client.now()
        client.clock.now += elapsed
        return Reservation(client, job, since, client.shutdown)

    return make


ERROR = JobError("ValueError", "why", ("line",))


def report(held, verb):
    """Report the job by a verb. Return the status."""
    match verb:
        case "ACK":
            return held.ack(JOB)
        case "FAIL":
            return held.fail(JOB, ERROR)
    return held.requeue(JOB, 1)


@pytest.mark.parametrize("stopped", ["monotonic", "wall"])
def test_elapsed_is_the_larger_of_two_clocks(reservation, monkeypatch, stopped):
    """One of them may stop while the machine sleeps. Then the job may be another worker's."""
    client = Client("+OK")
    held = reservation(client)
    clock = client if stopped == "wall" else client.clock
    monkeypatch.setattr(clock, "now" if stopped == "wall" else "monotonic", lambda: FETCHED_AT)
    client.clock.now += 500
    assert held.elapsed() == 500
    assert held.ack(JOB) is ReportStatus.WITHHELD


@pytest.mark.parametrize(
    ("verb", "elapsed", "limits"),
    [
        ("ACK", 0, [70]),
        ("ACK", 55, [70]),
        ("FAIL", 0, [70]),
        ("FAIL", 55, [70]),
        ("requeue", 0, [60, 60]),
        ("requeue", 55, [60, 60]),
    ],
)
def test_no_report_waits_beyond_its_limit(reservation, verb, elapsed, limits):
    """The connection may be busy for long. Later, another worker may have the job (5.13, 5.33)."""
    client = Client("{}", "+OK") if verb == "requeue" else Client("+OK")
    report(reservation(client, elapsed), verb)
    assert client.limits == limits


@pytest.mark.parametrize(
    ("verb", "elapsed", "status", "sent"),
    [
        ("ACK", 59, ReportStatus.ACCEPTED, 1),
        ("ACK", 60, ReportStatus.LATE, 1),
        ("ACK", 69, ReportStatus.LATE, 1),
        ("ACK", 70, ReportStatus.WITHHELD, 0),
        ("FAIL", 59, ReportStatus.ACCEPTED, 1),
        ("FAIL", 60, ReportStatus.LATE, 1),
        ("FAIL", 69, ReportStatus.LATE, 1),
        ("FAIL", 70, ReportStatus.WITHHELD, 0),
        ("requeue", 59, ReportStatus.ACCEPTED, 2),
        ("requeue", 60, ReportStatus.WITHHELD, 0),
    ],
)
def test_late_report_proves_nothing_and_later_is_not_sent(reservation, verb, elapsed, status, sent):
    """By then another worker may have the job, and a report would end its reservation."""
    client = Client("{}", "+OK") if verb == "requeue" else Client("+OK")
    assert report(reservation(client, elapsed), verb) is status
    assert len(client.sent) == sent


@pytest.mark.parametrize(("verb", "limit"), [("ACK", 70), ("FAIL", 70), ("requeue", 60)])
def test_report_waits_for_a_server_with_growing_pauses(reservation, verb, limit):
    """A server that restarts is back in seconds; one that is away for long is asked gently."""
    client = Client(AWAY)
    assert report(reservation(client), verb) is ReportStatus.WITHHELD
    assert client.shutdown.waits[:7] == [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]
    assert set(client.shutdown.waits[5:]) == {2}
    assert limit - 2 <= client.sent_at[-1] < limit


@pytest.mark.parametrize("verb", ["ACK", "FAIL", "requeue"])
@pytest.mark.parametrize(
    ("shutdown_at", "sent_at"), [(0, [0]), (0.15, [0, 0.1, 0.15]), (0.1, [0, 0.1])]
)
def test_shutdown_ends_the_pause_and_allows_one_try(reservation, verb, shutdown_at, sent_at):
    """The server may have come back during the pause, but the worker must end."""
    client = Client(AWAY)
    held = reservation(client, shutdown_at=shutdown_at)
    assert report(held, verb) is ReportStatus.WITHHELD
    assert client.sent_at == pytest.approx(sent_at)


class TestAck:
    def test_an_ok_in_time_is_accepted(self, reservation):
        client = Client("+OK")
        assert reservation(client).ack(JOB) is ReportStatus.ACCEPTED
        assert client.sent == ['ACK {"jid": "jid-00000001"}']

    def test_an_unanswered_ack_is_repeated_while_in_time(self, reservation):
        client = Client(CUT, AWAY, "+OK")
        assert reservation(client).ack(JOB) is ReportStatus.ACCEPTED
        assert client.verbs == ["ACK"] * 3

    @pytest.mark.parametrize("elapsed", [60, 61])
    def test_an_unanswered_late_ack_is_not_repeated(self, reservation, elapsed):
        client = Client(CUT, "+OK")
        assert reservation(client, elapsed).ack(JOB) is ReportStatus.UNKNOWN
        assert client.verbs == ["ACK"]

    def test_an_ack_waits_for_a_server_that_restarts(self, reservation):
        client = Client(CommandNotSent("shutdown"), AWAY, "+OK")
        assert reservation(client).ack(JOB) is ReportStatus.ACCEPTED

    def test_a_refused_ack_is_reported_as_refused(self, reservation):
        client = Client(CommandRefused("invalid ACK"))
        assert reservation(client).ack(JOB) is ReportStatus.REFUSED

    def test_a_reply_other_than_ok_is_no_success(self, reservation):
        assert reservation(Client("$-1")).ack(JOB) is ReportStatus.UNKNOWN


class TestFail:
    def test_a_fail_holds_the_error(self, reservation):
        client = Client("+OK")
        assert reservation(client).fail(JOB, ERROR) is ReportStatus.ACCEPTED
        verb, fields = client.sent[0].split(" ", 1)
        assert verb == "FAIL"
        assert json.loads(fields) == {
            "jid": "jid-00000001",
            "errtype": "ValueError",
            "message": "why",
            "backtrace": ["line"],
        }

    @pytest.mark.parametrize(
        ("second", "expected"),
        [
            ("+OK", ReportStatus.ACCEPTED),
            (CommandRefused("Job not found jid-00000001"), ReportStatus.ACCEPTED),
            (CommandRefused("internal error"), ReportStatus.REFUSED),
            ("$-1", ReportStatus.UNKNOWN),
        ],
    )
    def test_an_unanswered_fail_is_repeated(self, reservation, second, expected):
        """The reply "Job not found" then means that the first one arrived."""
        client = Client(CUT, second)
        assert reservation(client).fail(JOB, ERROR) is expected
        assert client.verbs == ["FAIL"] * 2

    def test_job_not_found_at_once_is_a_refusal(self, reservation):
        """The job was reported before, or its reservation has expired."""
        client = Client(AWAY, CommandRefused("Job not found jid-00000001"))
        assert reservation(client).fail(JOB, ERROR) is ReportStatus.REFUSED

    @pytest.mark.parametrize("script", [[CUT], [CUT, AWAY]])
    @pytest.mark.parametrize(("first", "limit"), [(0, 10), (30, 40), (58, 68), (60, 70), (65, 70)])
    def test_a_fail_is_repeated_for_ten_seconds(self, reservation, script, first, limit):
        """Later another worker may have the retry, and the FAIL would take its reservation.

        The ten seconds count from the first FAIL that may have arrived, and end with the grace
        period of the reservation (5.19).
        """
        client = Client(*script)
        assert reservation(client, first).fail(JOB, ERROR) is ReportStatus.UNKNOWN
        assert limit - 2 <= client.sent_at[-1] < limit
        assert client.limits == [70] + [limit] * (len(client.sent) - 1)

    def test_a_fail_times_out_early_enough_to_be_repeated(self, reservation):
        client = Client("+OK")
        reservation(client).fail(JOB, ERROR)
        assert client.max_timeout == 6

    def test_a_fail_without_a_connection_waits_for_one(self, reservation):
        client = Client(AWAY, "+OK")
        assert reservation(client).fail(JOB, ERROR) is ReportStatus.ACCEPTED


class TestRequeue:
    @pytest.mark.parametrize("delay", [0.5, 90])
    def test_a_copy_with_a_new_jid_is_pushed_before_the_ack(self, reservation, delay):
        client = Client("{}", "+OK")
        held = reservation(client)
        assert held.requeue(JOB, delay) is ReportStatus.ACCEPTED
        assert client.verbs == ["PUSHB", "ACK"]
        [copy] = json.loads(client.sent[0].split(" ", 1)[1])
        due = datetime.fromisoformat(copy.pop("at"))
        assert due == datetime.fromtimestamp(FETCHED_AT + delay, UTC)
        assert copy.pop("jid") == held.copy_jid != JOB["jid"]
        kept = {n: v for n, v in JOB.items() if n not in {"jid", "at", "enqueued_at", "custom"}}
        assert copy == {**kept, "custom": {"unique": {"owner": "o"}, "mine": 1}}

    def test_a_copy_that_is_due_at_once_has_no_time(self, reservation):
        """The clocks of this machine and the server's need not agree."""
        client = Client("{}", "+OK")
        assert reservation(client).requeue(JOB, 0) is ReportStatus.ACCEPTED
        [copy] = json.loads(client.sent[0].split(" ", 1)[1])
        assert "at" not in copy

    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            (CommandRefused("invalid JSON: x"), ReportStatus.REFUSED),
            (CommandRefused("internal error"), ReportStatus.UNKNOWN),
            (CUT, ReportStatus.UNKNOWN),
        ],
    )
    def test_a_copy_that_may_not_have_arrived_gets_no_ack(self, reservation, reply, expected):
        client = Client(reply)
        assert reservation(client).requeue(JOB, 1) is expected
        assert client.verbs == ["PUSHB"]

    @pytest.mark.parametrize(
        "job", [{**JOB, "retry": 2}, {**JOB, "retry": 0}, {**JOB, "retry": -1}]
    )
    @pytest.mark.parametrize("reply", [CommandRefused("invalid JSON: x"), CUT])
    def test_a_second_copy_is_pushed_if_expiry_ends_the_job(self, reservation, job, reply):
        client = Client(reply, "{}", "+OK")
        assert reservation(client, job=job).requeue(job, 1) is ReportStatus.ACCEPTED
        assert client.verbs == ["PUSHB", "PUSHB", "ACK"]
        first, second = (json.loads(sent.split(" ", 1)[1])[0] for sent in client.sent[:2])
        assert len({first["jid"], second["jid"], job["jid"]}) == 3

    def test_a_requeue_without_a_server_waits_for_one(self, reservation):
        client = Client(AWAY, "{}", "+OK")
        assert reservation(client).requeue(JOB, 1) is ReportStatus.ACCEPTED
        assert client.verbs == ["PUSHB", "PUSHB", "ACK"]

    def test_a_copy_refused_by_its_jid_is_reported_as_refused(self, reservation, monkeypatch):
        client = Client("{}")
        monkeypatch.setattr(
            client,
            "push_batch",
            lambda jobs, **_: {jobs[0]["jid"]: "jobs cannot be reserved for more than one day"},
        )
        assert reservation(client).requeue(JOB, 1) is ReportStatus.REFUSED

    def test_a_refused_ack_is_no_refusal_of_the_copy(self, reservation):
        """The copy is there: a FAIL as well would run the job twice and spend a retry."""
        client = Client("{}", CommandRefused("context deadline exceeded"))
        assert reservation(client).requeue(JOB, 1) is ReportStatus.UNKNOWN

    def test_a_copy_pushed_at_the_last_moment_gets_no_ack(self, reservation):
        """The expiry may have put the job back already; its next run has the same jid."""
        client = Client("{}", "+OK")
        client.seconds = 2
        assert reservation(client, 58).requeue(JOB, 1) is ReportStatus.WITHHELD
        assert client.verbs == ["PUSHB"]
