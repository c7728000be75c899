"""A block sets variables for itself and for other threads, and restores them at its end."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack

import pytest

from faktory_unique import _environment
from faktory_unique._environment import override, variable
from tests.patience import PATIENCE

NAME = "FAKTORY_UNIQUE_TEST_VARIABLE"


@pytest.fixture(autouse=True)
def _outside(monkeypatch):
    monkeypatch.setenv(NAME, "outside")


def in_another_thread(function):
    values = []
    thread = threading.Thread(target=lambda: values.append(function()))
    thread.start()
    thread.join()
    return values[0]


def test_outside_of_blocks_os_environ_counts(monkeypatch):
    assert variable(NAME) == "outside"
    monkeypatch.delenv(NAME)
    assert variable(NAME) is None


def test_a_block_sets_a_variable_and_restores_it(monkeypatch):
    with override({NAME: "block"}):
        assert variable(NAME) == os.environ[NAME] == "block"
    assert os.environ[NAME] == "outside"
    monkeypatch.delenv(NAME)
    with override({NAME: "block"}):
        pass
    assert NAME not in os.environ


def test_blocks_nest():
    with override({NAME: "outer"}):
        with override({NAME: "inner"}):
            assert variable(NAME) == "inner"
        assert variable(NAME) == os.environ[NAME] == "outer"


def test_another_variable_is_not_affected():
    with override({"FAKTORY_UNIQUE_TEST_OTHER": "x"}):
        assert variable(NAME) == "outside"


def test_a_thread_without_a_block_sees_the_last_one():
    with override({NAME: "block"}):
        assert in_another_thread(lambda: variable(NAME)) == "block"


def test_a_thread_inside_a_block_sees_its_own():
    def own():
        with override({NAME: "of the thread"}):
            seen.append(variable(NAME))
            entered.set()
            leave.wait(PATIENCE)

    seen, entered, leave = [], threading.Event(), threading.Event()
    with override({NAME: "of the test"}):
        thread = threading.Thread(target=own)
        thread.start()
        entered.wait(PATIENCE)
        assert os.environ[NAME] == "of the thread"
        assert variable(NAME) == "of the test"
        leave.set()
        thread.join()
    assert seen == ["of the thread"]


def test_a_value_set_manually_inside_a_block_counts(monkeypatch):
    with override({NAME: "block"}), monkeypatch.context() as patch:
        patch.setenv(NAME, "manual")
        assert variable(NAME) == "manual"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 2, 1)])
def test_blocks_that_end_in_any_order_restore_the_variable(order):
    """Blocks of several threads may end in any order."""
    stacks = [ExitStack() for _ in range(3)]
    for n, stack in enumerate(stacks):
        stack.enter_context(override({NAME: f"block {n}"}))
    left = {0, 1, 2}
    for n in order:
        stacks[n].close()
        left.remove(n)
        assert os.environ[NAME] == (f"block {max(left)}" if left else "outside")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_block_in_a_forked_process_waits_for_no_parents_thread():
    """Another thread held the mutex at the fork. Nothing would release it in the child."""
    with _environment._mutex():
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            with override({NAME: "child"}):
                os._exit(0 if os.environ[NAME] == "child" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
