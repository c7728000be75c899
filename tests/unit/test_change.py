"""A lock's value tells whose it is and in which state; a change names what it expects."""

from __future__ import annotations

import pytest

from faktory_unique.change import Change, held, is_leased, leased, look, owner_of, whole_seconds
from faktory_unique.policy import LONGEST


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
