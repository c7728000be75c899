"""`DeferredWrites`: when a write that failed is applied later, and when it is dropped."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from faktory_unique import StoreError, StoreUnavailable
from faktory_unique.locks.transition import Transition
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.stores.memory import MemoryStore
from faktory_unique.stores.retry_thread import RetryThread
from tests.patience import PATIENCE, wait_for


class UnreliableStore(MemoryStore):
    """A store that is unavailable on demand, and counts the calls of `run`."""

    def __init__(self):
        super().__init__()
        self.available = False
        self.calls = 0

    def run(self, transitions):
        self.calls += 1
        if not self.available:
            raise StoreUnavailable("no reply in time")
        return super().run(transitions)


@pytest.fixture
def store():
    return UnreliableStore()


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def deferred(store, now):
    deferred = DeferredWrites(store, lambda: now[0], sleep=lambda _seconds: None)
    yield deferred
    deferred.close()


def hold(key="k", expected=("o?", "o", None)):
    return Transition(key, expected, "o", 60)


def release(key="k"):
    return Transition(key, ("o",), None, 0)


def ignore(_transition, _found):
    pass


def defer(deferred, transition, seconds=10, on_applied=ignore):
    """Defer a write, since the store is unavailable."""
    with pytest.raises(StoreError):
        deferred.apply_or_defer(transition, seconds, on_applied)


def test_a_write_is_applied_at_once_if_possible(deferred, store):
    store.available = True
    assert deferred.apply_or_defer(hold(), 10, ignore) is None
    assert store.values() == {"k": "o"}
    assert len(deferred) == 0


def test_a_deferred_write_is_applied_and_reported_later(deferred, store):
    found = []
    defer(deferred, hold(), on_applied=lambda _transition, value: found.append(value))
    assert not deferred.flush()
    store.available = True
    assert deferred.flush()
    assert (store.values(), found) == ({"k": "o"}, [None])
    assert deferred.flush()
    assert found == [None]


def test_a_command_carried_out_late_acquires_no_lock(now):
    """A hold that is carried out after its job was done and its lock released."""

    class Slow(MemoryStore):
        sent = ()

        def run(self, transitions):
            if not self.sent:
                self.sent = transitions
                raise StoreUnavailable("no reply in time")
            return super().run(transitions)

    store = Slow()
    store.sent = [hold()]
    store.run([Transition("k", (None,), "o", 60)])
    store.sent = ()
    deferred = DeferredWrites(store, lambda: now[0])
    defer(deferred, hold())
    assert deferred.apply_or_defer(release(), 10, ignore) == "o"
    store.run(store.sent)
    assert store.values() == {}


def test_forbid_acquire_changes_the_reported_transition(deferred, store):
    applied = []
    defer(deferred, hold(), on_applied=lambda *reported: applied.append(reported))
    deferred.forbid_acquire("k", "o")
    store.available = True
    deferred.flush()
    assert applied == [(hold(expected=("o?", "o")), None)]


def test_an_expired_write_is_dropped(deferred, store, now):
    defer(deferred, hold())
    now[0] = 10
    store.available = True
    assert deferred.flush()
    assert store.values() == {}


def test_a_newer_write_supersedes_a_deferred_one(deferred, store):
    defer(deferred, hold())
    defer(deferred, release())
    store.available = True
    deferred.flush()
    assert store.values() == {}
    assert len(deferred) == 0


def test_an_applied_write_supersedes_a_deferred_one(deferred, store):
    defer(deferred, hold())
    store.available = True
    deferred.apply_or_defer(release(), 10, ignore)
    deferred.flush()
    assert store.values() == {}


def test_a_write_yields_to_a_deferred_one_of_the_same_lock(deferred, store):
    """A producer that learns late of its push confirms no lock that a worker will release."""
    store.available = True
    store.run([Transition("k", (None,), "o?", 60)])
    store.available = False
    defer(deferred, Transition("k", ("o?", "o"), None, 0))
    deferred.defer(Transition("k", ("o?",), "o", 600), 10, ignore, yields=True)
    deferred.defer(Transition("l", ("o?",), "o", 600), 10, ignore, yields=True)
    assert len(deferred) == 2
    store.available = True
    assert deferred.flush()
    assert store.values() == {}


def test_writes_of_two_owners_of_one_key_are_independent(deferred, store):
    """The first lock had lapsed, and the second owner acquired the key."""
    store.available = True
    store.run([Transition("k", (None,), "b", 60)])
    store.available = False
    defer(deferred, Transition("k", ("b?", "b"), None, 0))
    defer(deferred, Transition("k", ("a?", "a"), None, 0))
    assert len(deferred) == 2
    store.available = True
    assert deferred.apply_or_defer(Transition("k", ("c?", "c"), None, 0), 10, ignore) == "b"
    assert deferred.flush()
    assert store.values() == {}


def test_a_thread_that_cannot_start_is_tried_again(deferred, store, monkeypatch):
    def refuse(_self):
        raise RuntimeError("can't start new thread")

    defer(deferred, hold())
    monkeypatch.setattr("threading.Thread.start", refuse)
    deferred.flush_in_background()
    monkeypatch.undo()
    store.available = True
    deferred.flush_in_background()
    wait_for(lambda: len(deferred) == 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_ended_by_a_hook_is_followed_by_another(deferred, store):
    def exit_thread(_transition, _found):
        raise SystemExit

    defer(deferred, hold("a"), on_applied=exit_thread)
    deferred.flush_in_background()
    store.available = True
    wait_for(lambda: not deferred._thread.is_running)
    store.available = False
    defer(deferred, hold("b"))
    deferred.flush_in_background()
    store.available = True
    wait_for(lambda: len(deferred) == 0)


def test_forbid_acquire_keeps_a_lock_from_being_acquired(deferred, store):
    defer(deferred, hold())
    deferred.forbid_acquire("k", "o")
    deferred.forbid_acquire("k", "another")
    deferred.forbid_acquire("another", "o")
    store.available = True
    assert deferred.flush()
    assert store.values() == {}


def test_flush_keys_applies_the_writes_of_these_keys_only(deferred, store):
    defer(deferred, hold("a"))
    defer(deferred, hold("b"))
    with pytest.raises(StoreUnavailable):
        deferred.flush_keys(["a"])
    store.available = True
    deferred.flush_keys(["a", "c"])
    assert store.values() == {"a": "o"}
    assert len(deferred) == 1


def test_without_deferred_writes_the_store_is_not_used(deferred, store):
    deferred.flush_keys(["a"])
    deferred.flush()
    deferred.forbid_acquire("a", "o")
    deferred.flush_in_background()
    assert store.calls == 0


def test_the_oldest_write_is_dropped_beyond_the_limit(store, now, caplog):
    deferred = DeferredWrites(store, lambda: now[0], limit=2)
    for key in ("a", "b", "a", "c"):  # the second write of a lock counts as new
        defer(deferred, hold(key))
    store.available = True
    deferred.flush()
    assert store.values() == {"a": "o", "c": "o"}
    assert "key=b reason='more than 2 deferred writes'" in caplog.text


def test_more_writes_than_one_batch_are_applied(deferred, store):
    for n in range(1_500):
        defer(deferred, hold(str(n)))
    store.available = True
    calls = store.calls
    assert deferred.flush()
    assert store.calls - calls == 4  # two steps a batch
    assert len(store.values()) == 1_500


def test_writes_applied_before_an_error_are_not_repeated(now):
    class HalfFull(MemoryStore):
        def run(self, transitions):
            if len(transitions) == 1:
                raise StoreError("no memory")
            super().run(transitions[:1])
            error = StoreError("no memory")
            error.done = transitions[:1]
            raise error

    deferred = DeferredWrites(HalfFull(), lambda: now[0], sleep=lambda _seconds: None)
    defer(deferred, hold("a"))
    defer(deferred, hold("b"))
    assert not deferred.flush()
    assert len(deferred) == 1
    deferred.close()


class RefusingStore(MemoryStore):
    """A store that refuses each write of some keys for good, and applies the others."""

    def __init__(self, *keys):
        super().__init__()
        self.keys = keys
        self.sizes = []
        self.error = "WRONGTYPE"

    def run(self, transitions):
        self.sizes.append(len(transitions))
        bad = tuple(t for t in transitions if t.key in self.keys)
        good = [t for t in transitions if t.key not in self.keys]
        found = super().run(good)
        if not bad:
            return found
        error = StoreError(f"refused {len(bad)} commands: {self.error}")
        error.found = dict(zip(good, found, strict=True))
        error.done = tuple(t for t, value in error.found.items() if t.applied(value))
        error.refused = bad if self.error == "WRONGTYPE" else ()
        raise error


class TestRefused:
    """A write that is refused for good must not keep the others from being applied."""

    @pytest.fixture
    def store(self):
        return RefusingStore("bad")

    def defer(self, deferred, transition, on_applied=ignore, on_refused=None):
        deferred.defer(transition, 10, on_applied, on_refused, yields=False)

    def test_refused_write_is_dropped_and_the_others_applied(self, deferred, store):
        refused, applied = [], []
        for key in ("a", "bad", "z"):
            self.defer(deferred, hold(key), lambda t, _v: applied.append(t.key), refused.append)
        assert deferred.flush()
        assert (store.values(), sorted(applied)) == ({"a": "o", "z": "o"}, ["a", "z"])
        assert refused == ["refused 1 commands: WRONGTYPE"]

    def test_refused_write_is_logged_if_nobody_asked(self, deferred, caplog):
        self.defer(deferred, release("bad"))
        assert deferred.flush()
        assert "dropped lock write, lock stays until its TTL: key=bad reason=" in caplog.text

    def test_refused_writes_are_not_counted_as_applied(self, deferred, caplog):
        caplog.set_level("INFO")
        for key in ("a", "bad"):
            self.defer(deferred, hold(key))
        deferred.flush()
        assert "store recovered: applied 1 deferred lock writes" in caplog.text

    def test_refused_write_does_not_block_its_key(self, deferred):
        self.defer(deferred, release("bad"))
        deferred.flush_keys(["bad"])
        assert len(deferred) == 0

    def test_write_refused_at_once_is_not_deferred(self, deferred):
        with pytest.raises(StoreError):
            deferred.apply_or_defer(release("bad"), 10, ignore)
        assert len(deferred) == 0

    def test_write_that_may_pass_later_is_kept(self, deferred, store):
        """Redis is out of memory, for example. The applied write is reported all the same."""
        store.error = "OOM"
        applied = []
        for key in ("a", "bad"):
            self.defer(deferred, hold(key), lambda t, _v: applied.append(t.key))
        store.run([Transition("a", (None,), "o?", 60)])
        assert not deferred.flush()
        assert (list(deferred._writes), applied) == ([("bad", "o")], ["a"])
        store.keys = ()
        assert deferred.flush()
        assert applied == ["a", "bad"]

    def test_error_in_the_second_step_keeps_the_first(self, deferred, store):
        """One lock is held, another must be acquired, and that acquire fails."""
        store.run([Transition("a", (None,), "o", 60)])
        store.keys, found = (), []
        self.defer(deferred, release("a"), lambda _t, value: found.append(value))
        self.defer(deferred, hold("b"))
        run = store.run

        def fail_second(transitions):
            if any(None in t.expected for t in transitions):
                raise StoreUnavailable("no reply")
            return run(transitions)

        store.run = fail_second
        assert not deferred.flush()
        assert (list(deferred._writes), found) == ([("b", "o")], ["o"])


def test_flush_keys_asks_for_these_keys_only(deferred, store):
    """However many writes wait, the push of other work sends none of them."""
    for n in range(300):
        defer(deferred, release(str(n)))
    store.available = True
    calls = store.calls
    for n in range(300):
        deferred.flush_keys([f"other-{n}"])
    assert store.calls == calls


def test_writes_of_one_key_are_applied_in_order(deferred, store):
    """Two owners: the first releases its lock, then the second acquires it."""
    store.available = True
    store.run([Transition("k", (None,), "a", 60)])
    store.available = False
    defer(deferred, Transition("k", ("a",), None, 0))
    defer(deferred, Transition("k", (None,), "b", 60))
    store.available = True
    deferred.flush_keys(["k"])
    assert store.values() == {"k": "b"}


def test_each_outage_adds_no_exit_function(deferred, store, monkeypatch):
    registered = []
    monkeypatch.setattr("atexit.register", registered.append)
    for _ in range(5):
        store.available = False
        defer(deferred, hold())
        store.available = True
        assert deferred.flush()
    assert registered == [deferred.close]
    deferred.close()
    store.available = False
    defer(deferred, hold())
    assert registered == [deferred.close] * 2


def test_retries_ask_the_store_for_a_probe(deferred, store):
    """Its circuit breaker may be open. The retries have pauses of their own."""
    probes = []
    store.allow_probe = lambda: probes.append("allowed")
    deferred.flush()
    assert probes == []
    defer(deferred, hold())
    deferred.flush()
    assert probes == ["allowed"]


def test_pauses_grow_and_differ(monkeypatch):
    """So that the processes of a fleet do not return to their store all at once."""
    pauses, shares = [], iter([1, 0.5, 0.75] + [1] * 5)
    monkeypatch.setattr(
        "random.uniform", lambda low, high: (low, high) == (0.5, 1) and next(shares)
    )
    thread = RetryThread(lambda: None, lambda: len(pauses) == 8, threading.RLock())
    thread._wake.wait = pauses.append
    thread._run()
    assert pauses == [0.2, 0.2, 0.6000000000000001, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_write_deferred_as_the_thread_ends_is_retried(deferred, store):
    """The thread has applied all writes, and another is deferred before it has ended."""
    store.available = False
    defer(deferred, hold("a"))
    flush = deferred.flush

    def flush_and_defer():
        deferred._thread._attempt = flush
        store.available = True
        flush()
        store.available = False
        defer(deferred, hold("b"))
        deferred.flush_in_background()  # the thread still exists
        store.available = True
        return True

    deferred._thread._attempt = flush_and_defer
    deferred.flush_in_background()
    wait_for(lambda: store.values() == {"a": "o", "b": "o"})
    wait_for(lambda: not deferred._thread.is_running)


def test_a_background_thread_applies_the_writes_and_ends(deferred, store):
    applied = threading.Event()
    defer(deferred, hold(), on_applied=lambda _transition, _found: applied.set())
    deferred.flush_in_background()
    deferred.flush_in_background()
    assert [t.name for t in threading.enumerate()].count("faktory-unique-deferred") == 1
    wait_for(lambda: store.calls >= 3)  # once by this thread, and twice by the other
    store.available = True
    assert applied.wait(PATIENCE)
    wait_for(lambda: "faktory-unique-deferred" not in [t.name for t in threading.enumerate()])


def test_a_hook_may_use_the_deferred_writes(deferred, store):
    """It is called without the mutex that a push takes."""
    defer(deferred, hold("a"), on_applied=lambda _transition, _found: deferred.flush_keys(["a"]))
    defer(
        deferred,
        hold("b"),
        on_applied=lambda _transition, _found: deferred.apply_or_defer(release("b"), 10, ignore),
    )
    store.available = True
    assert deferred.flush()
    assert store.values() == {"a": "o"}


def test_close_ends_the_thread_and_logs_dropped_writes(deferred, store, caplog):
    defer(deferred, hold())
    deferred.flush_in_background()
    deferred.close()
    message = "dropped lock write, lock stays until its TTL: key=k reason='store unavailable'"
    assert message in caplog.text
    wait_for(lambda: "faktory-unique-deferred" not in [t.name for t in threading.enumerate()])
    defer(deferred, hold())
    store.available = True
    assert deferred.flush()


@pytest.mark.parametrize(("back_after", "slept"), [(0.5, 0.6), (1, 1), (9, 1)])
def test_close_waits_a_second_for_a_store_to_come_back(store, now, caplog, back_after, slept):
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        store.available = sum(pauses) >= back_after

    deferred = DeferredWrites(store, lambda: now[0], sleep=sleep)
    defer(deferred, hold())
    deferred.close()
    is_back = back_after <= 1
    assert store.values() == ({"k": "o"} if is_back else {})
    assert sum(pauses) == pytest.approx(slept)
    assert ("dropped lock write" not in caplog.text) is is_back


def test_thread_after_a_close_pauses_between_its_retries(deferred, store):
    """The close has woken the thread before it, which must not make this one retry at once."""
    deferred.close()
    defer(deferred, hold())
    deferred.flush_in_background()
    time.sleep(0.5)
    assert store.calls < 10


PROGRAM = """
from faktory_unique.locks.transition import Transition
from faktory_unique.stores.deferred import DeferredWrites
from faktory_unique.stores.memory import MemoryStore

class Store(MemoryStore):
    def run(self, transitions):
        print(*(transition.key for transition in transitions))
        return super().run(transitions)

deferred = DeferredWrites(Store())
for key in ("first", "second"):
    deferred.defer(Transition(key, ("o",), None, 0), 10, lambda *_: None, yields=False)
"""


def test_program_that_ends_without_a_close_applies_its_writes():
    """Else the locks of its last jobs stay until their TTL ends (5.38)."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert sorted(ended.stdout.split()) == ["first", "second"]


def test_closed_writes_leave_nothing_behind(store, now):
    """A program may make a `Unique` for each of its tasks. Nothing keeps those that are closed."""
    deferred = DeferredWrites(store, lambda: now[0], sleep=lambda _seconds: None)
    defer(deferred, hold())
    deferred.close()
    closed = weakref.ref(deferred)
    del deferred
    gc.collect()
    assert closed() is None


def test_close_begins_no_retry_after_a_second(now):
    """So a store that hangs delays the end of a process by a second and one time-out."""

    class Hanging(MemoryStore):
        calls = 0

        def run(self, transitions):
            self.calls += 1
            time.sleep(0.6)
            raise StoreUnavailable("no reply")

    store = Hanging()
    deferred = DeferredWrites(store, lambda: now[0])
    defer(deferred, hold())
    deferred.close()
    assert store.calls == 1 + 2  # the last of them began before the second was over


def test_a_write_applied_by_another_thread_is_skipped(deferred, store):
    defer(deferred, hold())
    calls = store.calls
    deferred._apply([("applied by another", "o")])
    assert store.calls == calls


@pytest.fixture
def fork(deferred):
    """Return a function after which all is as in a forked child, whose parent held the mutex."""
    held, end = threading.Event(), threading.Event()

    def hold_mutex(mutex):
        with mutex:
            held.set()
            assert end.wait(60)

    thread = threading.Thread(target=hold_mutex, args=[deferred._mutex])

    def fork():
        thread.start()
        assert held.wait(60)
        deferred._pid = os.getppid()

    yield fork
    end.set()
    thread.join(60)


@pytest.mark.parametrize("of_parent", [[], ["a"]])
@pytest.mark.parametrize(
    "act",
    [
        lambda deferred: defer(deferred, hold("own")),
        lambda deferred: deferred.defer(hold("own"), 10, ignore, yields=True),
        lambda deferred: deferred.forbid_acquire("a", "o"),
        lambda deferred: deferred.flush(),
        lambda deferred: deferred.flush_in_background(),
        lambda deferred: deferred.close(),
    ],
    ids=["apply_or_defer", "defer", "forbid_acquire", "flush", "flush_in_background", "close"],
)
def test_a_forked_child_leaves_its_parents_writes(deferred, store, fork, act, of_parent):
    """It does not wait for a mutex that a thread of its parent held, and loses no own write."""
    for key in of_parent:
        defer(deferred, hold(key))
    fork()
    act(deferred)
    defer(deferred, hold("own"))
    store.available = True
    assert deferred.flush()
    assert store.values() == {"own": "o"}


class TestSignalHandler:
    """A handler runs in the thread that it interrupts, so it must not wait for its mutex."""

    @pytest.fixture
    def interrupt_flush(self, deferred, store):
        """`interrupt_flush(act)`: call `act` during a flush of one write. Return its result."""

        def interrupt_flush(act):
            store.available = False
            with pytest.raises(StoreError):
                deferred.apply_or_defer(hold(), 60, ignore)
            store.available = True
            run, results = store.run, []

            def interrupted(transitions):
                if not results:
                    results.append("not yet")
                    results[0] = act()
                return run(transitions)

            store.run = interrupted
            deferred.flush()
            return results[0]

        return interrupt_flush

    def test_close_leaves_the_writes_to_the_interrupted_flush(
        self, deferred, store, interrupt_flush, caplog
    ):
        interrupt_flush(deferred.close)
        assert store.values() == {"k": "o"}
        assert len(deferred) == 0
        assert "dropped lock write" not in caplog.text

    def test_flush_leaves_the_writes_to_the_interrupted_flush(
        self, deferred, store, interrupt_flush
    ):
        assert interrupt_flush(deferred.flush) is False
        assert store.values() == {"k": "o"}

    def test_flush_keys_raises_unavailable(self, deferred, interrupt_flush):
        def push():
            with pytest.raises(StoreUnavailable, match="this thread already applies"):
                deferred.flush_keys(["k"])
            return "raised"

        assert interrupt_flush(push) == "raised"

    @pytest.mark.parametrize("transition", [hold(), release()], ids=["hold", "release"])
    def test_write_of_the_same_lock_during_a_flush_is_applied(
        self, deferred, interrupt_flush, transition
    ):
        """A signal handler reports the job whose write is being applied."""
        interrupt_flush(lambda: deferred.apply_or_defer(transition, 60, ignore))
        assert len(deferred) == 0

    def test_write_removed_while_a_flush_collects_is_skipped(self, deferred, store, monkeypatch):
        """A signal handler runs between the choice of the writes and their look-up."""
        defer(deferred, hold("a"))
        defer(deferred, hold("b"))
        store.available = True
        clock = deferred._clock

        def interrupted():
            monkeypatch.setattr(deferred, "_clock", clock)
            deferred.apply_or_defer(release("a"), 60, ignore)
            return clock()

        monkeypatch.setattr(deferred, "_clock", interrupted)
        assert deferred.flush()
        assert store.values() == {"b": "o"}

    def test_a_write_deferred_during_a_flush_is_kept(self, deferred, store, interrupt_flush):
        interrupt_flush(lambda: deferred.defer(release(), 60, ignore, yields=False))
        assert len(deferred) == 1
        assert deferred.flush()
        assert store.values() == {}
