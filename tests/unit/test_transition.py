"""A lock's value tells whose it is and in which state; a change names what it expects."""

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
def test_a_value_tells_its_owner_and_state(owner):
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
    """EX takes whole seconds, 0 is an error, and so is what overflows its clock."""
    assert whole_seconds(duration) == expected


def test_a_change_happened_if_it_found_what_it_expected():
    transition = Transition("k", ("o?", None), "o", 60)
    assert transition.applied("o?")
    assert transition.applied(None)
    assert not transition.applied("o")


def test_a_change_to_mine_makes_no_lock_where_none_is():
    assert Transition("k", ("o?", "o", None), "o", 60).without_acquire() == Transition(
        "k", ("o?", "o"), "o", 60
    )


def test_a_look_expects_nothing_and_so_changes_nothing():
    assert read_transition("k") == Transition("k", (), None, 0)


def test_a_change_shortens_a_lock_unless_it_says_otherwise():
    assert not Transition("k", ("o",), "o", 60).extends


@pytest.mark.parametrize("owner", ["jid-00000001", "a?b-jid-1", "é"])
def test_a_reply_tells_who_has_replaced_the_owner(owner):
    assert replaced_by(replaced_marker(owner)) == owner


@pytest.mark.parametrize("found", [None, held("jid-00000001"), leased("jid-00000001"), "a??b"])
def test_no_value_of_a_lock_is_taken_for_such_a_reply(found):
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
def test_a_change_is_about_the_lock_of_one_owner(transition, owner):
    assert transition.owner == owner


@pytest.mark.parametrize(
    ("expected", "found", "left"),
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
def test_absent_lock_is_acquired_only_if_expected(expected, found, left):
    transition = Transition("k", expected, "o", 60)
    assert transition.acquire_remainder(found) == (
        None if left is None else transition._replace(expected=left)
    )


class TestReplacing:
    CHANGE = Transition("k", ("o?", "o", None), "o", 60, replaces="x")

    def test_it_happens_to_the_replaced_owners_held_lock_too(self):
        assert [
            self.CHANGE.applied(found) for found in ("x", None, "x?", replaced_marker("x"), "y")
        ] == [
            True,
            True,
            False,
            False,
            False,
        ]

    def test_transition_without_replaces_skips_an_absent_lock(self):
        assert not Transition("k", ("o",), "o", 60).applied(None)

    def test_it_is_no_mere_look(self):
        assert not read_transition("k")._replace(replaces="x").is_read_only
        assert not Transition("k", (None,), "o", 60).is_read_only
        assert read_transition("k")._replace(unless_replaced="o").is_read_only

    def test_one_that_replaces_once_is_made_late_as_it_is(self):
        """Whether it comes too late is told by the tombstone."""
        swap = self.CHANGE._replace(once=True)
        assert swap.without_acquire() is swap
        assert [swap.acquire_remainder(found) for found in (None, "y")] == [None, None]

    def test_else_what_is_mine_comes_first(self):
        assert self.CHANGE.without_acquire() == Transition("k", ("o?", "o"), "o", 60)
        assert [
            self.CHANGE.acquire_remainder(found) for found in ("o", "o?", replaced_marker("y"))
        ] == [None] * 3

    def test_a_place_that_is_taken_and_not_held_comes_second_too(self):
        place = Transition("k", (), "o", 60, replaces="x")
        assert place.without_acquire() == Transition("k", (), "o", 60)
        assert place.acquire_remainder("x") == place

    @pytest.mark.parametrize("found", ["x", "x?", "y", None])
    def test_then_his_place(self, found):
        """Also where a third has it: the tombstone is still to be written."""
        assert self.CHANGE.acquire_remainder(found) == Transition(
            "k", (None,), "o", 60, replaces="x"
        )

    def test_without_a_value_it_is_known_whose_it_is(self):
        transition = Transition("k", (), None, 0, unless_replaced="o", replaces="x")
        assert transition.owner == "o"

    def test_a_tombstone_outlives_the_time_for_which_a_swap_is_kept(self):
        assert (TOMBSTONE_SECONDS, SWAP_DEFER_SECONDS) == (90, 60)
