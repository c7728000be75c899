"""The value of a lock, and transitions: when one applies, and how it acquires an absent lock."""

from __future__ import annotations

import pytest

from faktory_unique._durations import MAX_SECONDS
from faktory_unique.locks.transition import (
    SWAP_DEFER_SECONDS,
    TOMBSTONE_SECONDS,
    Transition,
    held,
    is_leased,
    leased,
    owner_of,
    read_transition,
    replaced_by,
    replaced_marker,
    whole_seconds,
)


@pytest.mark.parametrize("owner", ["jid-00000001", "a?b-jid-1", "é"])
def test_value_has_owner_and_state(owner):
    assert owner_of(leased(owner)) == owner
    assert owner_of(held(owner)) == owner
    assert is_leased(leased(owner))
    assert not is_leased(held(owner))


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0.2, 1),
        (1, 1),
        (10.1, 11),
        (MAX_SECONDS, MAX_SECONDS),
        (MAX_SECONDS + 1, MAX_SECONDS),
        (1e20, MAX_SECONDS),
    ],
)
def test_ttl_is_rounded_up_to_seconds_redis_accepts(duration, expected):
    """EX takes whole seconds from 1, and not more than Redis's clock can hold."""
    assert whole_seconds(duration) == expected


def test_transition_applies_if_it_finds_an_expected_value():
    transition = Transition("k", ("o?", None), "o", 60)
    assert transition.applied("o?")
    assert transition.applied(None)
    assert not transition.applied("o")


def test_transition_without_acquire_skips_an_absent_lock():
    assert Transition("k", ("o?", "o", None), "o", 60).without_acquire() == Transition(
        "k", ("o?", "o"), "o", 60
    )


def test_read_transition_expects_and_changes_nothing():
    assert read_transition("k") == Transition("k", (), None, 0)


def test_transition_may_shorten_a_lock_by_default():
    assert not Transition("k", ("o",), "o", 60).extends


@pytest.mark.parametrize("owner", ["jid-00000001", "a?b-jid-1", "é"])
def test_replaced_marker_names_the_successor(owner):
    assert replaced_by(replaced_marker(owner)) == owner


@pytest.mark.parametrize("found", [None, held("jid-00000001"), leased("jid-00000001"), "a??b"])
def test_no_value_of_a_lock_is_a_replaced_marker(found):
    assert replaced_by(found) is None


@pytest.mark.parametrize(
    ("transition", "owner"),
    [
        (Transition("k", ("o?", "o"), None, 0), "o"),
        (Transition("k", (None,), "o?", 60), "o"),
        (Transition("k", (), "o", 60, replaces="x"), "o"),
        (Transition("k", ("o?", "o"), None, 0, replaces="x"), "o"),
    ],
)
def test_transition_has_one_owner(transition, owner):
    assert transition.owner == owner


@pytest.mark.parametrize(
    ("expected", "found", "remainder"),
    [
        (("o?", "o", None), None, (None,)),
        (("o?", "o", None), "o", None),
        (("o?", "o", None), "x", None),
        (("o?", "o", None), replaced_marker("x"), None),
        (("o?", "o"), None, None),
        (("o?", "o"), "x", None),
        ((None,), None, (None,)),
        ((), None, None),
        ((), "x", None),
    ],
)
def test_absent_lock_is_acquired_only_if_expected(expected, found, remainder):
    transition = Transition("k", expected, "o", 60)
    assert transition.acquire_remainder(found) == (
        None if remainder is None else transition._replace(expected=remainder)
    )


class TestReplacing:
    TRANSITION = Transition("k", ("o?", "o", None), "o", 60, replaces="x")

    def test_replacing_applies_to_the_replaced_owners_held_lock(self):
        assert [
            self.TRANSITION.applied(found) for found in ("x", None, "x?", replaced_marker("x"), "y")
        ] == [
            True,
            True,
            False,
            False,
            False,
        ]

    def test_transition_without_replaces_skips_an_absent_lock(self):
        assert not Transition("k", ("o",), "o", 60).applied(None)

    def test_replacing_is_not_read_only(self):
        assert not read_transition("k")._replace(replaces="x").is_read_only
        assert not Transition("k", (None,), "o", 60).is_read_only
        assert read_transition("k")._replace(unless_replaced="o").is_read_only

    def test_swap_is_the_same_when_it_is_deferred(self):
        """Its tombstone says whether it comes too late."""
        swap = self.TRANSITION._replace(once=True)
        assert swap.without_acquire() is swap
        assert [swap.acquire_remainder(found) for found in (None, "y")] == [None, None]

    def test_deferred_replacing_starts_with_its_own_lock(self):
        assert self.TRANSITION.without_acquire() == Transition("k", ("o?", "o"), "o", 60)
        assert [
            self.TRANSITION.acquire_remainder(found) for found in ("o", "o?", replaced_marker("y"))
        ] == [None] * 3

    def test_replacing_without_expected_values_comes_second(self):
        replacing = Transition("k", (), "o", 60, replaces="x")
        assert replacing.without_acquire() == Transition("k", (), "o", 60)
        assert replacing.acquire_remainder("x") == replacing

    @pytest.mark.parametrize("found", ["x", "x?", "y", None])
    def test_replacing_comes_after_the_own_lock(self, found):
        """Also if a third owner has the lock: the tombstone must still be written."""
        assert self.TRANSITION.acquire_remainder(found) == Transition(
            "k", (None,), "o", 60, replaces="x"
        )

    def test_transition_without_a_value_has_an_owner(self):
        transition = Transition("k", (), None, 0, unless_replaced="o", replaces="x")
        assert transition.owner == "o"

    def test_tombstone_outlives_a_deferred_swap(self):
        assert (TOMBSTONE_SECONDS, SWAP_DEFER_SECONDS) == (90, 60)
