"""A lock's value tells whose it is and in which state; a change names what it expects."""

from __future__ import annotations

import pytest

from faktory_unique._durations import LONGEST
from faktory_unique.locks.transition import (
    SWAP_KEPT,
    TOMBSTONE,
    Change,
    gone,
    held,
    is_leased,
    leased,
    look,
    owner_of,
    successor_of,
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
    [(0.2, 1), (1, 1), (10.1, 11), (LONGEST, LONGEST), (LONGEST + 1, LONGEST), (1e20, LONGEST)],
)
def test_a_ttl_is_whole_seconds_rounded_up_and_no_more_than_redis_bears(duration, expected):
    """EX takes whole seconds, 0 is an error, and so is what overflows its clock."""
    assert whole_seconds(duration) == expected


def test_a_change_happened_if_it_found_what_it_expected():
    change = Change("k", ("o?", None), "o", 60)
    assert change.happened("o?")
    assert change.happened(None)
    assert not change.happened("o")


def test_a_change_to_mine_makes_no_lock_where_none_is():
    assert Change("k", ("o?", "o", None), "o", 60).to_mine() == Change("k", ("o?", "o"), "o", 60)


def test_a_look_expects_nothing_and_so_changes_nothing():
    assert look("k") == Change("k", (), None, 0)


def test_a_change_shortens_a_lock_unless_it_says_otherwise():
    assert not Change("k", ("o",), "o", 60).extends


@pytest.mark.parametrize("owner", ["jid-00000001", "a?b-jid-1", "é"])
def test_a_reply_tells_who_has_replaced_the_owner(owner):
    assert successor_of(gone(owner)) == owner


@pytest.mark.parametrize("found", [None, held("jid-00000001"), leased("jid-00000001"), "a??b"])
def test_no_value_of_a_lock_is_taken_for_such_a_reply(found):
    assert successor_of(found) is None


@pytest.mark.parametrize(
    ("change", "owner"),
    [
        (Change("k", ("o?", "o"), None, 0), "o"),
        (Change("k", (None,), "o?", 60), "o"),
        (Change("k", (), "o", 60, replaces="x"), "o"),
        (Change("k", ("o?", "o"), None, 0, replaces="x"), "o"),
    ],
)
def test_a_change_is_about_the_lock_of_one_owner(change, owner):
    assert change.owner == owner


@pytest.mark.parametrize(
    ("expected", "found", "left"),
    [
        (("o?", "o", None), None, (None,)),
        (("o?", "o", None), "o", None),
        (("o?", "o", None), "x", None),
        (("o?", "o", None), gone("x"), None),
        (("o?", "o"), None, None),
        (("o?", "o"), "x", None),
        ((None,), None, (None,)),
        ((), None, None),
        ((), "x", None),
    ],
)
def test_a_lock_is_taken_where_none_was_found_and_that_is_expected(expected, found, left):
    change = Change("k", expected, "o", 60)
    assert change.to_take(found) == (None if left is None else change._replace(expected=left))


class TestReplacing:
    CHANGE = Change("k", ("o?", "o", None), "o", 60, replaces="x")

    def test_it_happens_to_the_replaced_owners_held_lock_too(self):
        assert [self.CHANGE.happened(found) for found in ("x", None, "x?", gone("x"), "y")] == [
            True,
            True,
            False,
            False,
            False,
        ]

    def test_what_replaces_nobody_does_not_happen_to_what_is_not_there(self):
        assert not Change("k", ("o",), "o", 60).happened(None)

    def test_it_is_no_mere_look(self):
        assert not look("k")._replace(replaces="x").changes_nothing
        assert not Change("k", (None,), "o", 60).changes_nothing
        assert look("k")._replace(unless_gone="o").changes_nothing

    def test_one_that_replaces_once_is_made_late_as_it_is(self):
        """Whether it comes too late is told by the tombstone."""
        swap = self.CHANGE._replace(once=True)
        assert swap.to_mine() is swap
        assert [swap.to_take(found) for found in (None, "y")] == [None, None]

    def test_else_what_is_mine_comes_first(self):
        assert self.CHANGE.to_mine() == Change("k", ("o?", "o"), "o", 60)
        assert [self.CHANGE.to_take(found) for found in ("o", "o?", gone("y"))] == [None] * 3

    def test_a_place_that_is_taken_and_not_held_comes_second_too(self):
        place = Change("k", (), "o", 60, replaces="x")
        assert place.to_mine() == Change("k", (), "o", 60)
        assert place.to_take("x") == place

    @pytest.mark.parametrize("found", ["x", "x?", "y", None])
    def test_then_his_place(self, found):
        """Also where a third has it: the tombstone is still to be written."""
        assert self.CHANGE.to_take(found) == Change("k", (None,), "o", 60, replaces="x")

    def test_without_a_value_it_is_known_whose_it_is(self):
        change = Change("k", (), None, 0, unless_gone="o", replaces="x")
        assert change.owner == "o"

    def test_a_tombstone_outlives_the_time_for_which_a_swap_is_kept(self):
        assert (TOMBSTONE, SWAP_KEPT) == (90, 60)
