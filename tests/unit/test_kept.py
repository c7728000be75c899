"""What a store that is away is owed, and when that is made, or not any more."""

from __future__ import annotations

import os
import threading
import time

import pytest

from faktory_unique import StoreError, StoreUnavailable
from faktory_unique.locks.transition import Transition
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.stores.memory import MemoryStore


class Away(MemoryStore):
    """A store that is away while told so, and counts how often it was asked."""

    def __init__(self):
        super().__init__()
        self.away = True
        self.asked = 0

    def run(self, transitions):
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        return super().run(transitions)


@pytest.fixture
def store():
    return Away()


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def kept(store, now):
    kept = DeferredWrites(store, lambda: now[0], sleep=lambda _seconds: None)
    yield kept
    kept.close()


def hold(key="k", expected=("o?", "o", None)):
    return Transition(key, expected, "o", 60)


def free(key="k"):
    return Transition(key, ("o",), None, 0)


def ignore(_change, _found):
    pass


def keep(kept, transition, seconds=10, made=ignore):
    with pytest.raises(StoreError):
        kept.apply_or_defer(transition, seconds, made)


def test_a_change_is_made_at_once_where_it_can_be(kept, store):
    store.away = False
    assert kept.apply_or_defer(hold(), 10, ignore) is None
    assert store.values() == {"k": "o"}
    assert len(kept) == 0


def test_else_it_is_made_once_the_store_is_back_and_told_with_what_was_found(kept, store):
    found = []
    keep(kept, hold(), made=lambda _change, value: found.append(value))
    assert not kept.flush()
    store.away = False
    assert kept.flush()
    assert (store.values(), found) == ({"k": "o"}, [None])
    assert kept.flush()
    assert found == [None]


def test_what_is_carried_out_when_its_sender_has_given_up_takes_no_lock(now):
    """A hold that was late under way, its job being done and its lock freed."""

    class Slow(MemoryStore):
        sent = ()

        def run(self, transitions):
            if not self.sent:
                self.sent = transitions
                raise StoreUnavailable("no answer in time")
            return super().run(transitions)

    store = Slow()
    store.sent = [hold()]
    store.run([Transition("k", (None,), "o", 60)])
    store.sent = ()
    kept = DeferredWrites(store, lambda: now[0])
    keep(kept, hold())
    assert kept.apply_or_defer(free(), 10, ignore) == "o"
    store.run(store.sent)
    assert store.values() == {}


def test_after_a_run_it_is_told_as_the_change_that_takes_no_lock(kept, store):
    made = []
    keep(kept, hold(), made=lambda *told: made.append(told))
    kept.forbid_acquire("k", "o")
    store.away = False
    kept.flush()
    assert made == [(hold(expected=("o?", "o")), None)]


def test_it_is_given_up_when_it_makes_no_sense_any_more(kept, store, now):
    keep(kept, hold())
    now[0] = 10
    store.away = False
    assert kept.flush()
    assert store.values() == {}


def test_a_newer_change_of_a_lock_takes_the_olders_place(kept, store):
    keep(kept, hold())
    keep(kept, free())
    store.away = False
    kept.flush()
    assert store.values() == {}
    assert len(kept) == 0


def test_a_change_that_is_made_forgets_what_was_owed(kept, store):
    keep(kept, hold())
    store.away = False
    kept.apply_or_defer(free(), 10, ignore)
    kept.flush()
    assert store.values() == {}


def test_what_yields_does_so_to_what_is_owed_to_its_owner_alone(kept, store):
    """A producer that hears of its push late confirms nothing that a worker is to free."""
    store.away = False
    store.run([Transition("k", (None,), "o?", 60)])
    store.away = True
    keep(kept, Transition("k", ("o?", "o"), None, 0))
    kept.defer(Transition("k", ("o?",), "o", 600), 10, ignore, yields=True)
    kept.defer(Transition("l", ("o?",), "o", 600), 10, ignore, yields=True)
    assert len(kept) == 2
    store.away = False
    assert kept.flush()
    assert store.values() == {}


def test_locks_of_two_owners_under_one_key_are_owed_apart(kept, store):
    """The first had lapsed, and the second took the key: neither's end is the other's."""
    store.away = False
    store.run([Transition("k", (None,), "b", 60)])
    store.away = True
    keep(kept, Transition("k", ("b?", "b"), None, 0))
    keep(kept, Transition("k", ("a?", "a"), None, 0))
    assert len(kept) == 2
    store.away = False
    assert kept.apply_or_defer(Transition("k", ("c?", "c"), None, 0), 10, ignore) == "b"
    assert kept.flush()
    assert store.values() == {}


def test_without_a_thread_to_be_had_it_is_made_at_the_next_occasion(kept, store, monkeypatch):
    def refuse(_self):
        raise RuntimeError("can't start new thread")

    keep(kept, hold())
    monkeypatch.setattr("threading.Thread.start", refuse)
    kept.flush_in_background()
    monkeypatch.undo()
    store.away = False
    kept.flush_in_background()
    deadline = time.monotonic() + 5
    while len(kept):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_a_hook_has_ended_is_followed_by_another(kept, store):
    def leave(_found):
        raise SystemExit

    keep(kept, hold("a"), made=leave)
    kept.flush_in_background()
    store.away = False
    deadline = time.monotonic() + 5
    while kept._thread is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    store.away = True
    keep(kept, hold("b"))
    kept.flush_in_background()
    store.away = False
    while len(kept):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_once_the_run_is_over_nothing_is_taken_anew(kept, store):
    keep(kept, hold())
    kept.forbid_acquire("k", "o")
    kept.forbid_acquire("k", "another")
    kept.forbid_acquire("another", "o")
    store.away = False
    assert kept.flush()
    assert store.values() == {}


def test_what_is_owed_to_a_lock_is_settled_before_it_is_taken(kept, store):
    keep(kept, hold("a"))
    keep(kept, hold("b"))
    with pytest.raises(StoreUnavailable):
        kept.flush_keys(["a"])
    store.away = False
    kept.flush_keys(["a", "c"])
    assert store.values() == {"a": "o"}
    assert len(kept) == 1


def test_with_nothing_owed_the_store_is_not_asked(kept, store):
    kept.flush_keys(["a"])
    kept.flush()
    kept.forbid_acquire("a", "o")
    kept.flush_in_background()
    assert store.asked == 0


def test_of_too_many_the_oldest_is_given_up(store, now, caplog):
    kept = DeferredWrites(store, lambda: now[0], most=2)
    for key in "abc":
        keep(kept, hold(key))
    store.away = False
    kept.flush()
    assert store.values() == {"b": "o", "c": "o"}
    assert "too many" in caplog.text
    assert "key=a" in caplog.text


def test_more_than_a_batch_is_made(kept, store):
    for n in range(1_500):
        keep(kept, hold(str(n)))
    store.away = False
    asked = store.asked
    assert kept.flush()
    assert store.asked - asked == 4  # of each batch, whether the locks are there, and then to take
    assert len(store.values()) == 1_500


def test_what_an_erring_store_has_made_is_not_made_again(now):
    class Half(MemoryStore):
        def run(self, transitions):
            if len(transitions) == 1:
                raise StoreError("no memory")
            super().run(transitions[:1])
            error = StoreError("no memory")
            error.done = transitions[:1]
            raise error

    kept = DeferredWrites(Half(), lambda: now[0], sleep=lambda _seconds: None)
    keep(kept, hold("a"))
    keep(kept, hold("b"))
    assert not kept.flush()
    assert len(kept) == 1
    kept.close()


def test_a_thread_makes_it_and_ends(kept, store):
    made = threading.Event()
    keep(kept, hold(), made=lambda _change, _found: made.set())
    kept.flush_in_background()
    kept.flush_in_background()
    assert [t.name for t in threading.enumerate()].count("faktory-unique-kept") == 1
    deadline = time.monotonic() + 5
    while store.asked < 3:  # at once, and twice by the thread
        assert time.monotonic() < deadline
        time.sleep(0.01)
    store.away = False
    assert made.wait(5)
    while "faktory-unique-kept" in [t.name for t in threading.enumerate()]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_hook_may_push_while_it_is_told(kept, store):
    """It is called without the mutex that a push takes."""
    keep(kept, hold("a"), made=lambda _change, _found: kept.flush_keys(["a"]))
    keep(kept, hold("b"), made=lambda _change, _found: kept.apply_or_defer(free("b"), 10, ignore))
    store.away = False
    assert kept.flush()
    assert store.values() == {"a": "o"}


def test_giving_up_ends_the_thread_and_says_what_is_left(kept, store, caplog):
    keep(kept, hold())
    kept.flush_in_background()
    kept.close()
    assert "lock is left to its TTL: the store is still away: key=k" in caplog.text
    deadline = time.monotonic() + 5
    while "faktory-unique-kept" in [t.name for t in threading.enumerate()]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    keep(kept, hold())
    store.away = False
    assert kept.flush()


def test_a_store_that_is_just_coming_back_is_worth_a_second(store, now, caplog):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        store.away = sum(slept) < 0.5

    kept = DeferredWrites(store, lambda: now[0], sleep=sleep)
    keep(kept, hold())
    kept.close()
    assert store.values() == {"k": "o"}
    assert sum(slept) < 1
    assert "left to its TTL" not in caplog.text


def test_a_store_that_hangs_is_worth_no_more_than_its_time_out(now):
    class Hanging(MemoryStore):
        asked = 0

        def run(self, transitions):
            self.asked += 1
            time.sleep(0.6)
            raise StoreUnavailable("no answer")

    store = Hanging()
    kept = DeferredWrites(store, lambda: now[0])
    keep(kept, hold())
    kept.close()
    assert store.asked == 1 + 2  # of which the second began within the second


def test_what_another_thread_has_made_meanwhile_is_not_made_again(kept, store):
    keep(kept, hold())
    asked = store.asked
    kept._make([("made by another", "o")])
    assert store.asked == asked


def test_a_forked_child_owes_nothing_of_its_parents(kept, store):
    """Nor waits for a mutex that a thread of its parent had."""
    keep(kept, hold())
    kept._mutex.acquire()
    kept._pid = os.getppid()
    kept.forbid_acquire("k", "o")
    assert len(kept) == 0
    store.away = False
    assert kept.flush()
    assert store.values() == {}


class TestASignalHandler:
    """Its code runs amid what this very thread does, and cannot wait for that."""

    @pytest.fixture
    def amid(self, kept, store):
        """`amid(act)`: what is done while a change that was owed is being made; what it came to."""

        def amid(act):
            store.away = True
            with pytest.raises(StoreError):
                kept.apply_or_defer(hold(), 60, ignore)
            store.away = False
            run, came_to = store.run, []

            def interrupted(transitions):
                if not came_to:
                    came_to.append("nothing yet")
                    came_to[0] = act()
                return run(transitions)

            store.run = interrupted
            kept.flush()
            return came_to[0]

        return amid

    def test_that_gives_up_leaves_it_to_what_it_interrupts(self, kept, store, amid):
        amid(kept.close)
        assert store.values() == {"k": "o"}
        assert len(kept) == 0

    def test_that_retries_leaves_it_likewise(self, kept, store, amid):
        assert amid(kept.flush) is False
        assert store.values() == {"k": "o"}

    def test_that_pushes_what_is_owed_something_is_told_that_the_store_is_away(self, kept, amid):
        def push():
            with pytest.raises(StoreUnavailable, match="amid"):
                kept.flush_keys(["k"])
            return "told"

        assert amid(push) == "told"

    def test_that_leaves_another_change_has_it_kept(self, kept, store, amid):
        amid(lambda: kept.defer(free(), 60, ignore, yields=False))
        assert len(kept) == 1
        assert kept.flush()
        assert store.values() == {}
