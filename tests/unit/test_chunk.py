"""Chunks of a push that overlap: what is done while Faktory has one, and what goes wrong then."""

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
from faktory_unique.locks.lifecycle import release_transition
from faktory_unique.locks.transition import held, leased
from faktory_unique.middleware import InnermostPush, compose
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.testing import FakeFaktory
from faktory_unique.unique.batch import CHUNK
from tests.unit.push_helpers import Clock, job

LEASE = 60
SECOND = CHUNK  # the place of the first job of the second chunk


class Pending:
    """A push that was begun."""

    def __init__(self, send, receive):
        self.send, self.receive = send, receive


class Steps:
    """The innermost of the chain, and a store: notes what is asked of either, in order.

    `at` has what is to happen at a step, such as "receive 0": it may raise.
    """

    def __init__(self):
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.store.now = self.clock  # by which `Unique` tells the age of a lease
        self.seen = []
        self.keys = {}  # of the locks that a step is about
        self.at = {}
        self.errors = {}
        self._number = 0
        run = self.store.run

        def noted(transitions):
            step = self._told(transitions)
            self.keys[step] = [transition.key for transition in transitions]
            self._see(step)
            return run(transitions)

        self.run = run
        self.store.run = noted

    def begin(self, jobs):
        number, self._number = self._number, self._number + 1
        self._see(f"begin {number}")
        return Pending(lambda: self._see(f"send {number}"), lambda: self._receive(number, jobs))

    def push(self, unique, count=SECOND + 3):
        return unique.push([job(n) for n in range(count)], InnermostPush(self.begin))

    def _receive(self, number, jobs):
        self._see(f"receive {number}")
        return [self._result(job) for job in jobs]

    def values(self):
        return set(self.store.values().values())

    def _see(self, step):
        self.seen.append(step)
        self.at.pop(step, lambda: None)()

    def _told(self, transitions):
        transition = transitions[0]
        number = int(transition.owner.removeprefix("jid-")) // CHUNK
        if transition.value is None:
            return f"give back {number}"
        if transition.value == held(transition.owner):
            return f"confirm {number}"
        return f"{'take' if transition.expected == (None,) else 'renew'} {number}"

    def _result(self, sent):
        status = self.errors.get(sent["jid"], PushStatus.PUSHED)
        return PushResult(status, sent["jid"], sent["jid"], error="said Faktory")


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
    """Those of the first and of the second chunk."""
    return {r.status for r in results[:SECOND]}, {r.status for r in results[SECOND:]}


def test_chunks_overlap_while_faktory_is_busy(steps, unique):
    results = steps.push(unique, 2 * CHUNK + 1)
    assert steps.seen == [
        *("take 0", "begin 0", "send 0"),
        *("take 1", "begin 1", "receive 0", "send 1"),
        *("confirm 0", "take 2", "begin 2", "receive 1", "send 2"),
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
    assert steps.seen == [
        *("take 0", "begin 0", "send 0", "receive 0"),
        *("take 1", "confirm 0", "begin 1", "send 1", "receive 1", "confirm 1"),
    ]


def test_unknown_outcome_rolls_back_the_next_chunk(steps, unique):
    steps.errors["jid-00000001"] = PushStatus.UNKNOWN
    results = steps.push(unique)
    assert "send 1" not in steps.seen
    assert statuses(results)[1] == {PushStatus.NOT_SENT}
    assert steps.values() == {
        leased("jid-00000001"),
        *(held(r.jid) for r in results[:SECOND] if r),
    }


def test_failed_acquire_leaves_the_chunk_before_finalized(steps, unique):
    steps.at["take 1"] = raising(StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable) as caught:
        steps.push(unique)
    assert statuses(caught.value.results) == ({PushStatus.PUSHED}, {PushStatus.NOT_SENT})
    assert steps.values() == {held(result.jid) for result in caught.value.results[:SECOND]}


def test_failed_acquire_leaves_followers_of_pushed_jobs(steps, unique):
    steps.at["take 1"] = raising(StoreUnavailable("away"))
    jobs = [job(n) for n in range(SECOND + 1)]
    followers = [{**job(n), "jid": f"follower-{n}"} for n in (0, SECOND)]
    with pytest.raises(StoreUnavailable) as caught:
        unique.push([*jobs, *followers], InnermostPush(steps.begin))
    of_the_first, of_the_second = caught.value.results[-2:]
    assert (of_the_first.status, of_the_first.jid) == (PushStatus.DUPLICATE, job(0)["jid"])
    assert of_the_second.status is PushStatus.NOT_SENT


@pytest.mark.parametrize("step", ["begin 1", "send 1"])
def test_a_veto_leaves_the_chunk_before_pushed_and_settled(steps, unique, step):
    steps.at[step] = raising(InvalidJob("no"))
    with pytest.raises(InvalidJob) as caught:
        steps.push(unique)
    assert statuses(caught.value.results) == ({PushStatus.PUSHED}, {PushStatus.NOT_SENT})
    assert steps.seen.count("receive 0") == 1
    assert steps.values() == {held(job(n)["jid"]) for n in range(CHUNK)}


@pytest.mark.parametrize("step", ["receive 0", "send 0"])
def test_interrupted_send_leaves_the_locks_leased(steps, unique, step):
    steps.at[step] = raising(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        steps.push(unique)
    assert steps.values() == {leased(job(n)["jid"]) for n in range(CHUNK)}
    assert unique._context.pushes.is_unknown("jid-00000000")
    assert not unique._context.pushes.is_unknown(job(SECOND)["jid"])


def test_interrupt_after_the_send_still_reads_the_reply(steps, unique):
    steps.at["take 1"] = raising(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        steps.push(unique)
    assert steps.seen[-2:] == ["receive 0", "confirm 0"]


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


class TestAfterALongWait:
    """A quarter of a lease is over when Faktory has answered for the chunk before."""

    @pytest.fixture(autouse=True)
    def _slow(self, steps):
        steps.at["receive 0"] = lambda: self.wait(steps, LEASE / 4)

    @staticmethod
    def wait(steps, seconds):
        steps.clock.now += seconds

    def test_stale_chunk_is_finalized_and_the_next_renewed(self, steps, unique):
        results = steps.push(unique)
        assert steps.seen[steps.seen.index("receive 0") :] == [
            *("receive 0", "confirm 0", "renew 1", "begin 2", "send 2", "receive 2", "confirm 1"),
        ]
        assert all(results)

    def test_what_another_has_taken_meanwhile_is_not_sent(self, steps, unique):
        taken = job(SECOND + 1)["jid"]

        def another_takes():
            self.wait(steps, LEASE + 1)
            key = unique._requests.key(job(SECOND + 1))
            steps.store._set(key, held("another"), 600)

        steps.at["receive 0"] = another_takes
        results = steps.push(unique)
        duplicate = results[SECOND + 1]
        assert (duplicate.status, duplicate.jid) == (PushStatus.DUPLICATE, "another")
        assert held(taken) not in steps.values()
        assert held("another") in steps.values()
        assert all(results[SECOND + 2 :])

    def test_a_lease_that_is_over_is_taken_again(self, steps, unique):
        steps.at["receive 0"] = lambda: self.wait(steps, LEASE + 1)
        results = steps.push(unique)
        assert all(results[SECOND:])
        assert all(result.confirmed for result in results[SECOND:])

    def test_it_gives_back_what_it_took_again(self, steps, unique):
        steps.at["receive 0"] = lambda: self.wait(steps, LEASE + 1)
        steps.errors[job(SECOND)["jid"]] = PushStatus.REFUSED
        results = steps.push(unique)
        assert results[SECOND].status is PushStatus.REFUSED
        assert not {leased(job(SECOND)["jid"]), held(job(SECOND)["jid"])} & steps.values()

    def test_where_the_store_is_away_then_nothing_more_is_sent(self, steps, unique):
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

    def test_without_the_store_a_lease_that_is_over_by_then_is_told(self, steps):
        """The age of a lease is counted from when it was had, not from when that was tried."""
        unique = Unique(steps.store, default=Policy(ttl=600, lease=LEASE, on_store_error="push"))
        steps.at["renew 1"] = raising(StoreUnavailable("away"))
        steps.at["receive 2"] = lambda: self.wait(steps, LEASE - 1)
        results = steps.push(unique)
        assert {result.confirmed for result in results[SECOND:]} == {False}

    def test_without_leases_nothing_is_renewed_or_written_twice(self, steps):
        unique = Unique(steps.store, default=Policy(ttl=600, lease=LEASE, enforce=False))
        steps.store._set(unique._requests.key(job(SECOND)), held("another"), 600)
        results = steps.push(unique, SECOND + 1)
        assert statuses(results) == ({PushStatus.PUSHED}, {PushStatus.OBSERVED})
        assert steps.seen[-2:] == ["send 1", "receive 1"]
        assert "begin 2" not in steps.seen

    def test_a_job_that_is_only_observed_is_not_leased(self, steps):
        unique = Unique(steps.store, default=Policy(ttl=600, lease=LEASE, enforce=False))
        steps.store._set(unique._requests.key(job(SECOND)), held("another"), 600)
        results = steps.push(unique)
        assert statuses(results)[1] == {PushStatus.PUSHED, PushStatus.OBSERVED}
        own = [unique._requests.key(job(SECOND + n)) for n in (1, 2)]
        assert steps.keys["renew 1"] == own

    def test_replacing_job_is_not_renewed(self, steps):
        """Until its push is confirmed the place is that job's, or whose equal is pushed then."""
        unique = Unique(steps.store, default=Policy(ttl=600, lease=LEASE, on_conflict="replace"))
        place = unique._requests.key(job(SECOND))
        steps.store._set(place, held("another"), 600)

        def another_ends():
            self.wait(steps, LEASE / 4)
            steps.run([release_transition(place, "another")])

        steps.at["receive 0"] = another_ends
        results = steps.push(unique)
        assert all(results)
        assert place not in steps.keys["renew 1"]
        assert steps.values() >= {held(result.jid) for result in results}


def test_unguarded_is_emitted_before_the_send(steps):
    """A process that dies then hides nothing: an equal can be there, and nobody could tell why."""
    policy = Policy(ttl=600, lease=LEASE, on_store_error="push")
    unique = Unique(
        steps.store, default=policy, hooks=[lambda event: steps.seen.append(event.name)]
    )
    steps.at["take 0"] = raising(StoreUnavailable("away"))
    steps.push(unique, 1)
    assert steps.seen.index("unguarded") < steps.seen.index("send 0")


def test_when_a_chunk_is_settled_its_jobs_can_be_pushed_anew(steps, unique):
    """Amid the same list: their work can be done by then."""
    going_on = []
    steps.at["receive 2"] = lambda: going_on.append(
        {jid for _, jid in unique._context.pushes._in_progress}
    )
    steps.push(unique, 2 * CHUNK + 1)
    assert job(0)["jid"] not in going_on[0]
    assert job(CHUNK)["jid"] not in going_on[0]


def test_senseless_reply_leaves_the_locks_leased(steps, unique):
    """It came after the send."""

    def answers_for_one(jobs):
        result = PushResult(PushStatus.PUSHED, jobs[0]["jid"], jobs[0]["jid"])
        return Pending(lambda: None, lambda: [result])

    with pytest.raises(ValueError, match="zip"):
        unique.push([job(1), job(2)], InnermostPush(answers_for_one))
    assert steps.values() == {leased(job(1)["jid"]), leased(job(2)["jid"])}
    assert unique._context.pushes.is_unknown(job(1)["jid"])


def test_one_result_for_eight_jobs_is_no_list_of_results(unique):
    """Itself it is a tuple of eight."""
    one = PushResult(PushStatus.PUSHED, "jid", "jid")
    with pytest.raises(RuntimeError, match="no list of results for 8 jobs"):
        unique.push([job(n) for n in range(len(one))], lambda _jobs: one)


def test_forked_child_of_a_hook_undoes_nothing(steps):
    hooked = []

    def fork_once(event):
        if event.jid == job(SECOND)["jid"] and not hooked:
            hooked.append(os.fork())
            if hooked == [0]:
                sys.exit()

    unique = Unique(steps.store, default=Policy(), hooks=[fork_once])
    try:
        results = steps.push(unique)
    except SystemExit:
        os._exit(len(steps.seen) - steps.seen.index("take 1") - 1)
    assert os.waitstatus_to_exitcode(os.waitpid(hooked[0], 0)[1]) == 0  # steps after it
    assert all(results)


def test_what_it_undoes_is_told_by_the_process_that_it_is_in(steps, unique, monkeypatch):
    def fork_and_end():
        monkeypatch.setattr(os, "getpid", lambda: -1)
        raise SystemExit

    steps.at["take 1"] = fork_and_end
    with pytest.raises(SystemExit):
        steps.push(unique)
    assert steps.seen[-1] == "take 1"


def test_a_producer_pushes_in_steps():
    """When the answer for the first chunk is asked for, the second has its locks."""
    with FakeFaktory() as faktory, Unique(faktory.store, default=Policy()) as unique:
        client = faktory.client()
        send, locked = client._commands.send, []

        class Noting:
            def __init__(self, reply):
                self._reply = reply

            def receive(self):
                locked.append(len(faktory.store.values()))
                return self._reply.receive()

        client._commands.send = lambda command: Noting(send(command))
        bulk = Producer(client, [unique]).push_bulk(
            [Job(jobtype="Email", args=[n]) for n in range(SECOND + 1)]
        )
        assert len(bulk.pushed) == SECOND + 1
        assert locked == [SECOND + 1, SECOND + 1]
