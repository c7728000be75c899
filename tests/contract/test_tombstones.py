"""Changes that replace, or that a tombstone forbids: one contract, kept by every store."""

from __future__ import annotations

import pytest
import redis

from faktory_unique import StoreError
from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.lifecycle import acquire_transition
from faktory_unique.locks.transition import Transition, read_transition, replaced_marker
from faktory_unique.stores.redis import RedisStore
from tests.contract.conftest import KEY, OTHER, OWNER, commands_seen, raw, ttl, value

OLD = "jid-00000009"
OF_OLD, OF_OWNER = tombstone_key(KEY, OLD), tombstone_key(KEY, OWNER)


def put(store, owner, seconds, key=KEY):
    assert store.run([Transition(key, (None,), owner, seconds)]) == [None]


def swap(seconds=600, expected=(None,), new=OWNER, **fields):
    """What replaces the old owner's lock, unless it has been."""
    told = {"unless_replaced": new or OWNER, "replaces": OLD, "once": True, **fields}
    return Transition(KEY, expected, new, seconds, **told)


def at_fetch(seconds=600, expected=(f"{OWNER}?", OWNER, None), new=OWNER):
    """What a worker does for a job that replaces the old owner's."""
    return swap(seconds, expected, new, unless_replaced=OWNER, once=False)


class TestATombstoneForbids:
    @pytest.mark.parametrize("present", [None, OWNER, f"{OWNER}?", OTHER])
    @pytest.mark.parametrize(
        "transition",
        [
            Transition(KEY, (None, OWNER, f"{OWNER}?"), OWNER, 600),
            Transition(KEY, (None, OWNER), OWNER, 600, extends=True),
            Transition(KEY, (OWNER, f"{OWNER}?"), None, 0),
            Transition(KEY, (None,), f"{OWNER}?", 30),
            read_transition(KEY),
        ],
        ids=["hold", "extend", "release", "take", "look"],
    )
    def test_any_change_and_names_the_successor(self, store, transition, present):
        if present:
            put(store, present, 100)
        put(store, OTHER, 90, OF_OWNER)
        assert store.run([transition._replace(unless_replaced=OWNER)]) == [replaced_marker(OTHER)]
        assert value(store) == present
        assert ttl(store) <= 100

    def test_only_to_its_own_owner(self, store):
        put(store, OTHER, 90, OF_OLD)
        assert store.run([acquire_transition(KEY, OWNER, 60, replaceable=True)]) == [None]
        assert value(store) == f"{OWNER}?"

    def test_only_beside_its_own_lock(self, store):
        put(store, OTHER, 90, tombstone_key(f"{KEY}2", OWNER))
        assert store.run([acquire_transition(KEY, OWNER, 60, replaceable=True)]) == [None]

    def test_a_swap_too_and_then_its_other_tombstone_is_not_written(self, store):
        put(store, OLD, 100)
        put(store, OTHER, 90, OF_OWNER)
        assert store.run([swap()]) == [replaced_marker(OTHER)]
        assert (value(store), value(store, OF_OLD)) == (OLD, None)


class TestWithoutOne:
    """It is the same change as without the question."""

    def test_a_look_tells_the_value(self, store):
        asked = read_transition(KEY)._replace(unless_replaced=OWNER)
        assert store.run([asked]) == [None]
        put(store, OTHER, 100)
        assert store.run([asked]) == [OTHER]

    def test_a_change_happens_to_what_it_expects_alone(self, store):
        hold = Transition(KEY, (OWNER, f"{OWNER}?"), OWNER, 600, unless_replaced=OWNER)
        assert store.run([hold]) == [None]
        assert value(store) is None
        put(store, f"{OWNER}?", 100)
        assert store.run([hold]) == [f"{OWNER}?"]
        assert value(store) == OWNER
        assert 598 < ttl(store) <= 600
        free = Transition(KEY, (OWNER,), None, 0, unless_replaced=OWNER)
        assert store.run([free]) == [OWNER]
        assert value(store) is None

    def test_one_that_extends_takes_no_time_away(self, store):
        put(store, OWNER, 600)
        store.run([Transition(KEY, (OWNER,), OWNER, 60, extends=True, unless_replaced=OWNER)])
        assert 598 < ttl(store) <= 600


class TestASwap:
    def test_of_the_old_owners_held_lock_takes_it_over(self, store):
        put(store, OLD, 100)
        assert store.run([swap(600)]) == [OLD]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)
        assert 598 < ttl(store) <= 600

    def test_of_an_absent_lock_takes_it_where_that_is_expected(self, store):
        assert store.run([swap(600)]) == [None]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)
        assert 598 < ttl(store) <= 600

    def test_of_an_absent_lock_takes_it_where_nobody_has_replaced_him_before(self, store):
        """FETCH under expiry, before the producer's swap; and at a retry, its time being over."""
        assert store.run([at_fetch(600, ())]) == [None]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)
        store.run([Transition(KEY, (OWNER,), None, 0)])
        assert store.run([at_fetch(600, ())]) == [None]
        assert value(store) is None

    @pytest.mark.parametrize("present", [OTHER, f"{OTHER}?", f"{OLD}?"])
    def test_leaves_any_other_value_and_writes_the_tombstone_all_the_same(self, store, present):
        """It is for a job that Faktory has accepted."""
        put(store, present, 100)
        assert store.run([swap(600)]) == [present]
        assert (value(store), value(store, OF_OLD)) == (present, OWNER)
        assert 98 < ttl(store) <= 100

    def test_expecting_nothing_but_the_old_owners_takes_that(self, store):
        """FETCH under expiry."""
        put(store, OLD, 100)
        assert store.run([at_fetch(600, ())]) == [OLD]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)

    @pytest.mark.parametrize(
        ("present", "says"), [(OLD, OWNER), (OWNER, None), (f"{OWNER}?", None)]
    )
    def test_to_no_value_frees_it_if_his_or_mine(self, store, present, says):
        """FETCH under start."""
        put(store, present, 600)
        assert store.run([at_fetch(0, (f"{OWNER}?", OWNER), None)]) == [present]
        assert (value(store), value(store, OF_OLD)) == (None, says)

    @pytest.mark.parametrize("present", [OWNER, f"{OWNER}?"])
    def test_of_what_is_mine_already_writes_no_tombstone(self, store, present):
        """It was written with the swap. He may be back by now, and the work of his own."""
        put(store, present, 100)
        assert store.run([at_fetch()]) == [present]
        assert (value(store), value(store, OF_OLD)) == (OWNER, None)
        assert 598 < ttl(store) <= 600

    def test_of_who_replaces_him_is_not_made_where_he_has_replaced_it(self, store):
        """Both would step aside, each for the other."""
        put(store, OWNER, 100)
        assert store.run([swap(new=OLD, unless_replaced=OLD, replaces=OWNER)]) == [OWNER]
        assert store.run([at_fetch()]) == [replaced_marker(OLD)]
        assert store.run([swap()]) == [replaced_marker(OLD)]
        assert value(store, OF_OLD) is None

    def test_a_second_time_changes_nothing(self, store):
        put(store, OLD, 100)
        store.run([swap(200)])
        assert store.run([swap(600, new=OTHER)]) == [replaced_marker(OWNER)]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)
        assert ttl(store) <= 200


class TestTheTombstone:
    """It lives for as long as the old lock would have, as the new one does, and 90 s at least."""

    @pytest.mark.parametrize(
        ("left", "given", "expected"),
        [
            (None, 600, 600),
            (None, 30, 90),
            (100, 30, 100),
            (100, 600, 600),
            (700, 600, 700),
            (10, 0, 90),
        ],
    )
    def test_lives_for_the_longest_of_them(self, store, left, given, expected):
        if left:
            put(store, OLD, left)
        store.run([swap(given) if given else at_fetch(0, (OWNER,), None)])
        assert expected - 2 < ttl(store, OF_OLD) <= expected

    def test_has_no_part_in_the_time_of_anothers_lock(self, store):
        put(store, OTHER, 5000)
        store.run([swap(600)])
        assert 598 < ttl(store, OF_OLD) <= 600

    def test_that_is_there_is_left_as_it_is(self, store):
        """Where a worker comes after a third that has replaced the old one, too."""
        put(store, OLD, 1000)
        put(store, OTHER, 200, OF_OLD)
        assert store.run([at_fetch()]) == [OLD]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OTHER)
        assert ttl(store, OF_OLD) <= 200


def test_a_batch_may_have_them_among_others(store):
    put(store, OLD, 100)
    put(store, OTHER, 90, tombstone_key(f"{KEY}3", OWNER))
    found = store.run(
        [
            acquire_transition(f"{KEY}1", OWNER, 60),
            swap(600),
            read_transition(f"{KEY}2"),
            acquire_transition(f"{KEY}3", OWNER, 60, replaceable=True),
            acquire_transition(f"{KEY}4", OWNER, 60, replaceable=True),
        ]
    )
    assert found == [None, OLD, None, replaced_marker(OTHER), None]
    values = [value(store, key) for key in (KEY, *(f"{KEY}{n}" for n in range(1, 5)))]
    assert values == [OWNER, f"{OWNER}?", None, None, f"{OWNER}?"]


def test_keys_and_owners_of_any_text_come_back_as_they_went(store):
    key, old, new = "unique:1:Grüße 🎉\r\n\x00:abc", "jid-é\r\n\x00a", "jid-è🎉\x00"
    put(store, old, 100, key)
    transition = Transition(key, (None,), new, 600, unless_replaced=new, replaces=old, once=True)
    assert store.run([transition]) == [old]
    assert store.run([transition]) == [replaced_marker(new)]
    assert value(store, tombstone_key(key, old)) == new


class TestOnRedisAlone:
    def test_it_is_one_script_whose_keys_are_of_one_slot(self, redis_url):
        """The braces say which part of a key counts for that."""
        seen = commands_seen(redis_url, lambda store: store.run([swap(600)]))
        [(command, _, keys, *named)] = [line.split() for line in seen]
        assert (command, keys) == ("EVALSHA", "3")
        assert named[:3] == [KEY, OF_OWNER, OF_OLD]
        assert OF_OLD.startswith(f"{{{KEY}}}")

    def test_what_only_asks_for_a_tombstone_is_one_of_two_keys(self, redis_url):
        asked = acquire_transition(KEY, OWNER, 60, replaceable=True)
        [seen] = commands_seen(redis_url, lambda store: store.run([asked]))
        assert seen.split()[0] == "EVALSHA"
        assert seen.split()[2:5] == ["2", KEY, OF_OWNER]

    def test_scripts_forgotten_by_a_restarted_server_are_loaded_again(self, redis_url):
        store = RedisStore(redis_url)
        put(store, OLD, 100)
        store.run([read_transition(f"{KEY}2")._replace(unless_replaced=OWNER)])
        redis.Redis.from_url(redis_url).script_flush()
        batch = [
            acquire_transition(f"{KEY}1", OWNER, 60),
            swap(600),
            read_transition(f"{KEY}2")._replace(unless_replaced=OLD),
        ]
        assert store.run(batch) == [None, OLD, None]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)

    def test_of_a_batch_that_is_refused_in_part_a_swap_that_was_made_is_told(self, redis_url):
        store = RedisStore(redis_url)
        put(store, OLD, 100)
        raw(store).rpush(f"{KEY}2", "no lock")
        transition = swap(600)
        with pytest.raises(StoreError, match="Redis refused 1 of 2 commands") as caught:
            store.run([transition, read_transition(f"{KEY}2")._replace(unless_replaced=OWNER)])
        assert caught.value.done == (transition,)
        assert value(store) == OWNER

    def test_one_that_a_tombstone_forbade_is_not(self, redis_url):
        store = RedisStore(redis_url)
        put(store, OTHER, 90, OF_OLD)
        raw(store).rpush(f"{KEY}2", "no lock")
        with pytest.raises(StoreError) as caught:
            store.run([swap(600), read_transition(f"{KEY}2")])
        assert caught.value.done == ()
