"""Chunks of a push that overlap: the order of their steps, and errors at each step."""

from __future__ import annotations

import os
import sys

import pytest

from faktory_unique import (
    InvalidJob,
    Job,
    Middleware,
    Policy,
    Producer,
    PushResult,
    PushStatus,
    StoreUnavailable,
    Unique,
)
from faktory_unique.client.pending_push import InnermostPush
from faktory_unique.locks.lifecycle import release_transition
from faktory_unique.locks.transition import held, leased
from faktory_unique.middleware import compose
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.testing import FakeFaktory
from faktory_unique.unique.batch import CHUNK_SIZE
from tests.unit.push_helpers import Clock, job

LEASE = 60
SECOND = CHUNK_SIZE  # index of the first job of the second chunk


class FakePendingPush:
    """A push that has begun."""

    def __init__(self, send, receive):
        self.send, self.receive = send, receive


class Steps:
    """The innermost part of the chain and a store, which record their steps in order.

    `at` has functions to call at a step, such as "receive 0"; they may raise.
    """

    def __init__(self):
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.store.now = self.clock  # the clock by which `Unique` measures the age of a lease
        self.log = []
        self.keys = {}  # the keys of each step's transitions
        self.at = {}
        self.errors = {}
        self._number = 0
        run = self.store.run

        def run_logged(transitions):
            step = self._label(transitions)
            self.keys[step] = [transition.key for transition in transitions]
            self._log_step(step)
            return run(transitions)

        self.run = run
        self.store.run = run_logged

    def begin(self, jobs):
        number, self._number = self._number, self._number + 1
        self._log_step(f"begin {number}")
        return FakePendingPush(
            lambda: self._log_step(f"send {number}"), lambda: self._receive(number, jobs)
        )

    def push(self, unique, count=SECOND + 3):
        return unique.push([job(n) for n in range(count)], InnermostPush(self.begin))

    def _receive(self, number, jobs):
        self._log_step(f"receive {number}")
        return [self._result(job) for job in jobs]

    def values(self):
        return set(self.store.values().values())

    def _log_step(self, step):
        self.log.append(step)
        self.at.pop(step, lambda: None)()

    def _label(self, transitions):
        transition = transitions[0]
        number = int(transition.owner.removeprefix("jid-")) // CHUNK_SIZE
        if transition.value is None:
            return f"roll back {number}"
        if transition.value == held(transition.owner):
            return f"confirm {number}"
        return f"{'acquire' if transition.expected == (None,) else 'renew'} {number}"

    def _result(self, sent):
        status = self.errors.get(sent["args"][0], PushStatus.PUSHED)
        return PushResult(status, sent["jid"], sent["jid"], error="error of Faktory")


@pytest.fixture
def steps():
    return Steps()


@pytest.fixture
def unique(steps):
    return Unique(steps.store, default=Policy(ttl=600, lease=LEASE))


def raising(error):
    def act():
        raise error

    return act


def statuses(results):
    """Return the statuses of the first chunk, and of the second."""
    return {r.status for r in results[:SECOND]}, {r.status for r in results[SECOND:]}


def test_chunks_overlap_while_faktory_is_busy(steps, unique):
    results = steps.push(unique, 2 * CHUNK_SIZE + 1)
    assert steps.log == [
        *("acquire 0", "begin 0", "send 0"),
        *("acquire 1", "begin 1", "receive 0", "send 1"),
        *("confirm 0", "acquire 2", "begin 2", "receive 1", "send 2"),
        *("confirm 1", "receive 2", "confirm 2"),
    ]
    assert all(results)
    assert steps.values() == {held(result.jid) for result in results}


def test_inner_middleware_finalizes_chunks_one_by_one(steps, unique):
    class Inner(Middleware):
        def push(self, jobs, call_next):
            return call_next(jobs)

    chain = compose([unique, Inner()], "push", InnermostPush(steps.begin))
    assert all(chain([job(n) for n in range(SECOND + 1)]))
    assert steps.log == [
        *("acquire 0", "begin 0", "send 0", "receive 0"),
        *("acquire 1", "confirm 0", "begin 1", "send 1", "receive 1", "confirm 1"),
    ]


def test_unknown_outcome_rolls_back_the_next_chunk(steps, unique):
    steps.errors[1] = PushStatus.UNKNOWN
    results = steps.push(unique)
    assert "send 1" not in steps.log
    assert statuses(results)[1] == {PushStatus.NOT_SENT}
    assert steps.values() == {
        leased("jid-00000001"),
        *(held(r.jid) for r in results[:SECOND] if r),
    }


def test_failed_acquire_leaves_the_chunk_before_finalized(steps, unique):
    steps.at["acquire 1"] = raising(StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable) as caught:
        steps.push(unique)
    assert statuses(caught.value.results) == ({PushStatus.PUSHED}, {PushStatus.NOT_SENT})
    assert steps.values() == {held(result.jid) for result in caught.value.results[:SECOND]}


def test_failed_acquire_leaves_followers_of_pushed_jobs(steps, unique):
    steps.at["acquire 1"] = raising(StoreUnavailable("away"))
    jobs = [job(n) for n in range(SECOND + 1)]
    followers = [{**job(n), "jid": f"follower-{n}"} for n in (0, SECOND)]
    with pytest.raises(StoreUnavailable) as caught:
        unique.push([*jobs, *followers], InnermostPush(steps.begin))
    of_the_first, of_the_second = caught.value.results[-2:]
    assert (of_the_first.status, of_the_first.jid) == (PushStatus.DUPLICATE, job(0)["jid"])
    assert of_the_second.status is PushStatus.NOT_SENT


@pytest.mark.parametrize("step", ["begin 1", "send 1"])
def test_veto_leaves_the_chunk_before_finalized(steps, unique, step):
    steps.at[step] = raising(InvalidJob("no"))
    with pytest.raises(InvalidJob) as caught:
        steps.push(unique)
    assert statuses(caught.value.results) == ({PushStatus.PUSHED}, {PushStatus.NOT_SENT})
    assert steps.log.count("receive 0") == 1
    assert steps.values() == {held(job(n)["jid"]) for n in range(CHUNK_SIZE)}


@pytest.mark.parametrize("step", ["receive 0", "send 0"])
def test_interrupted_send_leaves_the_locks_leased(steps, unique, step):
    steps.at[step] = raising(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        steps.push(unique)
    assert steps.values() == {leased(job(n)["jid"]) for n in range(CHUNK_SIZE)}
    assert unique._context.pushes.is_unknown("jid-00000000")
    assert not unique._context.pushes.is_unknown(job(SECOND)["jid"])


def test_interrupt_after_the_send_still_reads_the_reply(steps, unique):
    steps.at["acquire 1"] = raising(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        steps.push(unique)
    assert steps.log[-2:] == ["receive 0", "confirm 0"]


def test_interrupt_before_the_send_rolls_back(steps, unique):
    steps.at["begin 0"] = raising(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        steps.push(unique)
    assert steps.values() == set()


def test_interrupt_anywhere_leaves_no_push_in_progress(steps, unique):
    steps.at["receive 0"] = raising(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        steps.push(unique)
    assert unique._context.pushes._in_progress == {}


class TestSlowReply:
    """A quarter of a lease has passed when Faktory replies to the chunk before."""

    @pytest.fixture(autouse=True)
    def _slow(self, steps):
        steps.at["receive 0"] = lambda: self.wait(steps, LEASE / 4)

    @staticmethod
    def wait(steps, seconds):
        steps.clock.now += seconds

    def test_stale_chunk_is_renewed_before_it_is_sent(self, steps, unique):
        results = steps.push(unique)
        assert steps.log[steps.log.index("receive 0") :] == [
            *("receive 0", "confirm 0", "renew 1", "begin 2", "send 2", "receive 2", "confirm 1"),
        ]
        assert all(results)

    @pytest.mark.parametrize("lost", [[1], [0, 1, 2]], ids=["one", "all"])
    def test_job_whose_lease_was_lost_is_a_duplicate(self, steps, unique, lost):
        """It is not sent, even if it was encoded with the others before."""

        def others_acquire():
            self.wait(steps, LEASE + 1)
            for n in lost:
                steps.store._set(unique._requests.key(job(SECOND + n)), held(f"other-{n}"), 600)

        steps.at["receive 0"] = others_acquire
        results = steps.push(unique)
        for n in range(3):
            result = results[SECOND + n]
            if n in lost:
                assert (result.status, result.jid) == (PushStatus.DUPLICATE, f"other-{n}")
                assert held(f"other-{n}") in steps.values()
            else:
                assert result
        assert held(job(SECOND + 1)["jid"]) not in steps.values()
        assert [step for step in steps.log if step.startswith("send")] == (
            ["send 0"] if len(lost) == 3 else ["send 0", "send 2"]
        )

    def test_renewed_lease_counts_from_its_renewal(self, steps, unique):
        """A worker ended the job within the new lease, and the old lease would be over."""

        def work():
            self.wait(steps, LEASE - 1)
            steps.run([release_transition(unique._requests.key(job(SECOND)), job(SECOND)["jid"])])

        steps.at["receive 2"] = work
        assert steps.push(unique)[SECOND].confirmed

    def test_lapsed_lease_is_acquired_again(self, steps, unique):
        steps.at["receive 0"] = lambda: self.wait(steps, LEASE + 1)
        results = steps.push(unique)
        assert all(results[SECOND:])
        assert all(result.confirmed for result in results[SECOND:])

    @pytest.mark.parametrize("was_unknown", [False, True])
    def test_refused_job_rolls_back_a_reacquired_lease(self, steps, unique, was_unknown):
        """Also if it had the lease of an earlier push at first."""
        if was_unknown:
            steps.errors[SECOND] = PushStatus.UNKNOWN
            unique.push([job(SECOND)], InnermostPush(steps.begin))
        steps.at = {f"receive {int(was_unknown)}": lambda: self.wait(steps, LEASE + 1)}
        steps.errors[SECOND] = PushStatus.REFUSED
        results = steps.push(unique)
        assert results[SECOND].status is PushStatus.REFUSED
        assert not {leased(job(SECOND)["jid"]), held(job(SECOND)["jid"])} & steps.values()

    def test_store_away_at_the_renewal_stops_the_push(self, steps, unique):
        steps.at["renew 1"] = raising(StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable) as caught:
            steps.push(unique)
        assert statuses(caught.value.results) == ({PushStatus.PUSHED}, {PushStatus.NOT_SENT})
        assert steps.values() == {held(result.jid) for result in caught.value.results[:SECOND]}

    def test_failed_renewal_sends_on_the_rest_of_the_lease(self, steps):
        unique = Unique(steps.store, default=Policy(ttl=600, lease=LEASE, on_store_error="push"))
        steps.at["renew 1"] = raising(StoreUnavailable("away"))
        results = steps.push(unique)
        assert statuses(results) == ({PushStatus.PUSHED}, {PushStatus.PUSHED})
        assert all(result.confirmed for result in results)

    def test_lease_that_lapsed_after_a_failed_renewal_is_reported(self, steps):
        """The age of a lease counts from its last success, not from the last try."""
        unique = Unique(steps.store, default=Policy(ttl=600, lease=LEASE, on_store_error="push"))
        steps.at["renew 1"] = raising(StoreUnavailable("away"))
        steps.at["receive 2"] = lambda: self.wait(steps, LEASE - 1)
        results = steps.push(unique)
        assert {result.confirmed for result in results[SECOND:]} == {False}

    def test_chunk_without_leases_is_not_renewed(self, steps):
        unique = Unique(steps.store, default=Policy(ttl=600, lease=LEASE, enforce=False))
        steps.store._set(unique._requests.key(job(SECOND)), held("another"), 600)
        results = steps.push(unique, SECOND + 1)
        assert statuses(results) == ({PushStatus.PUSHED}, {PushStatus.OBSERVED})
        assert steps.log[-2:] == ["send 1", "receive 1"]
        assert "begin 2" not in steps.log

    def test_observed_job_is_not_renewed(self, steps):
        unique = Unique(steps.store, default=Policy(ttl=600, lease=LEASE, enforce=False))
        steps.store._set(unique._requests.key(job(SECOND)), held("another"), 600)
        results = steps.push(unique)
        assert statuses(results)[1] == {PushStatus.PUSHED, PushStatus.OBSERVED}
        own = [unique._requests.key(job(SECOND + n)) for n in (1, 2)]
        assert steps.keys["renew 1"] == own

    def test_replacing_job_is_not_renewed(self, steps):
        """Until its push is confirmed, the lock is the old job's, or that of a later equal."""
        unique = Unique(steps.store, default=Policy(ttl=600, lease=LEASE, on_conflict="replace"))
        key = unique._requests.key(job(SECOND))
        steps.store._set(key, held("another"), 600)

        def another_ends():
            self.wait(steps, LEASE / 4)
            steps.run([release_transition(key, "another")])

        steps.at["receive 0"] = another_ends
        results = steps.push(unique)
        assert all(results)
        assert key not in steps.keys["renew 1"]
        assert steps.values() >= {held(result.jid) for result in results}


def test_unguarded_is_emitted_before_the_send(steps):
    """If the process dies after the send, the event is out: equal jobs can be explained."""
    policy = Policy(ttl=600, lease=LEASE, on_store_error="push")
    unique = Unique(steps.store, default=policy, hooks=[lambda event: steps.log.append(event.name)])
    steps.at["acquire 0"] = raising(StoreUnavailable("away"))
    steps.push(unique, 1)
    assert steps.log.index("unguarded") < steps.log.index("send 0")


def test_job_of_a_finalized_chunk_can_be_pushed_again(steps, unique):
    """Even during the same push: the job may have finished by then."""
    in_progress = []
    steps.at["receive 2"] = lambda: in_progress.append(
        {jid for _, jid in unique._context.pushes._in_progress}
    )
    steps.push(unique, 2 * CHUNK_SIZE + 1)
    assert job(0)["jid"] not in in_progress[0]
    assert job(CHUNK_SIZE)["jid"] not in in_progress[0]


@pytest.mark.parametrize("refused", [False, True])
def test_chunk_of_duplicates_does_not_stop_the_batch(steps, unique, refused):
    """A list is pushed again, with new jobs at its end; or its first job is refused."""
    first = [job(n, f"jid-{n + 50_000:08}") for n in range(CHUNK_SIZE)]
    unique.push(first, InnermostPush(steps.begin))
    jobs = [job(n) for n in range(CHUNK_SIZE + 3)]
    if refused:  # then its equal at the end of the list is pushed instead
        jobs = [job(9_000), *jobs[:CHUNK_SIZE], job(9_000, "jid-00009001")]
        steps.at["receive 1"] = lambda: steps.errors.update({9_000: PushStatus.REFUSED})
        steps.at["receive 2"] = steps.errors.clear
    results = unique.push(jobs, InnermostPush(steps.begin))
    assert {r.status for r in results[1:CHUNK_SIZE]} == {PushStatus.DUPLICATE}
    assert {r.status for r in results[CHUNK_SIZE + 1 :]} == {PushStatus.PUSHED}


def test_invalid_reply_leaves_the_locks_leased(steps, unique):
    """The reply came after the send."""

    def push_one_result(jobs):
        result = PushResult(PushStatus.PUSHED, jobs[0]["jid"], jobs[0]["jid"])
        return FakePendingPush(lambda: None, lambda: [result])

    with pytest.raises(ValueError, match="zip"):
        unique.push([job(1), job(2)], InnermostPush(push_one_result))
    assert steps.values() == {leased(job(1)["jid"]), leased(job(2)["jid"])}
    assert unique._context.pushes.is_unknown(job(1)["jid"])


def test_one_result_is_not_a_list_of_results(unique):
    """A `PushResult` is a tuple itself."""
    one = PushResult(PushStatus.PUSHED, "jid", "jid")
    with pytest.raises(RuntimeError, match=f"no list of results for {len(one)} jobs"):
        unique.push([job(n) for n in range(len(one))], lambda _jobs: one)


def test_forked_child_of_a_hook_undoes_nothing(steps):
    pids = []

    def fork_once(event):
        if event.jid == job(SECOND)["jid"] and not pids:
            pids.append(os.fork())
            if pids == [0]:
                sys.exit()

    unique = Unique(steps.store, default=Policy(), hooks=[fork_once])
    try:
        results = steps.push(unique)
    except SystemExit:
        os._exit(len(steps.log) - steps.log.index("acquire 1") - 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0  # steps after it
    assert all(results)


def test_exit_in_a_forked_child_undoes_nothing(steps, unique, monkeypatch):
    def fork_and_exit():
        monkeypatch.setattr(os, "getpid", lambda: -1)
        raise SystemExit

    steps.at["acquire 1"] = fork_and_exit
    with pytest.raises(SystemExit):
        steps.push(unique)
    assert steps.log[-1] == "acquire 1"


def test_producer_pushes_in_steps():
    """When the first chunk's reply is received, the second chunk has its locks."""
    with FakeFaktory() as faktory, Unique(faktory.store, default=Policy()) as unique:
        client = faktory.client()
        send, locked = client._commands.send, []

        class RecordingReply:
            def __init__(self, reply):
                self._reply = reply

            def receive(self):
                locked.append(len(faktory.store.values()))
                return self._reply.receive()

        client._commands.send = lambda command: RecordingReply(send(command))
        bulk = Producer(client, [unique]).push_bulk(
            [Job(jobtype="Email", args=[n]) for n in range(SECOND + 1)]
        )
        assert len(bulk.pushed) == SECOND + 1
        assert locked == [SECOND + 1, SECOND + 1]
