"""Variables that a block sets: for itself, for other threads, and until its end alone."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack

import pytest

from faktory_unique._environment import overridden, variable

NAME = "FAKTORY_UNIQUE_TEST_VARIABLE"


@pytest.fixture(autouse=True)
def _outside(monkeypatch):
    monkeypatch.setenv(NAME, "outside")


def in_another_thread(function):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function()))
    thread.start()
    thread.join()
    return answers[0]


def test_outside_of_any_block_it_is_the_environments(monkeypatch):
    assert variable(NAME) == "outside"
    monkeypatch.delenv(NAME)
    assert variable(NAME) is None


def test_a_block_sets_it_and_puts_back_what_was(monkeypatch):
    with overridden({NAME: "block"}):
        assert variable(NAME) == os.environ[NAME] == "block"
    assert os.environ[NAME] == "outside"
    monkeypatch.delenv(NAME)
    with overridden({NAME: "block"}):
        pass
    assert NAME not in os.environ


def test_blocks_nest():
    with overridden({NAME: "outer"}):
        with overridden({NAME: "inner"}):
            assert variable(NAME) == "inner"
        assert variable(NAME) == os.environ[NAME] == "outer"


def test_a_variable_that_the_block_does_not_name_is_the_environments():
    with overridden({"FAKTORY_UNIQUE_TEST_OTHER": "x"}):
        assert variable(NAME) == "outside"


def test_a_thread_without_a_block_sees_the_one_that_was_entered_last():
    with overridden({NAME: "block"}):
        assert in_another_thread(lambda: variable(NAME)) == "block"


def test_a_thread_within_a_block_sees_its_own():
    def own():
        with overridden({NAME: "of the thread"}):
            seen.append(variable(NAME))
            entered.set()
            leave.wait(10)

    seen, entered, leave = [], threading.Event(), threading.Event()
    with overridden({NAME: "of the test"}):
        thread = threading.Thread(target=own)
        thread.start()
        entered.wait(10)
        assert os.environ[NAME] == "of the thread"
        assert variable(NAME) == "of the test"
        leave.set()
        thread.join()
    assert seen == ["of the thread"]


def test_what_is_set_by_hand_within_a_block_counts(monkeypatch):
    with overridden({NAME: "block"}), monkeypatch.context() as by_hand:
        by_hand.setenv(NAME, "by hand")
        assert variable(NAME) == "by hand"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 2, 1)])
def test_blocks_that_end_in_any_order_requeue_what_was(order):
    """As those of several threads do."""
    stacks = [ExitStack() for _ in range(3)]
    for n, stack in enumerate(stacks):
        stack.enter_context(overridden({NAME: f"block {n}"}))
    left = {0, 1, 2}
    for n in order:
        stacks[n].close()
        left.remove(n)
        assert os.environ[NAME] == (f"block {max(left)}" if left else "outside")
