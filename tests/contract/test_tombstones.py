"""`Store.run` with tombstones, of every store: transitions that replace, or are forbidden."""

from __future__ import annotations

import pytest
import redis

from faktory_unique import StoreError
from faktory_unique.locks.keys import tombstone_key
from faktory_unique.locks.lifecycle import acquire_transition
from faktory_unique.locks.transition import Transition, read_transition, replaced_marker
from tests.contract.conftest import KEY, OTHER, OWNER, commands_seen, raw, ttl, value

OLD = "jid-00000009"
OF_OLD, OF_OWNER = tombstone_key(KEY, OLD), tombstone_key(KEY, OWNER)


def put(store, owner, seconds, key=KEY):
    assert store.run([Transition(key, (None,), owner, seconds)]) == [None]


def swap(seconds=600, expected=(None,), new=OWNER, **fields):
    """The producer's transition that replaces the old owner, unless it was replaced before."""
    replacement = {"unless_replaced": new or OWNER, "replaces": OLD, "once": True, **fields}
    return Transition(KEY, expected, new, seconds, **replacement)


def at_fetch(seconds=600, expected=(f"{OWNER}?", OWNER, None), new=OWNER):
    """The worker's transition for a job that replaces the old owner's."""
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
        ids=["hold", "extend", "release", "acquire", "read"],
    )
    def test_any_transition_and_returns_the_successor(self, store, transition, present):
        if present:
            put(store, present, 100)
        put(store, OTHER, 90, OF_OWNER)
        assert store.run([transition._replace(unless_replaced=OWNER)]) == [replaced_marker(OTHER)]
        assert value(store) == present
        assert ttl(store) <= 100

    def test_only_transitions_of_its_own_owner(self, store):
        put(store, OTHER, 90, OF_OLD)
        assert store.run([acquire_transition(KEY, OWNER, 60, replaceable=True)]) == [None]
        assert value(store) == f"{OWNER}?"

    def test_only_transitions_of_its_own_lock(self, store):
        put(store, OTHER, 90, tombstone_key(f"{KEY}2", OWNER))
        assert store.run([acquire_transition(KEY, OWNER, 60, replaceable=True)]) == [None]

    def test_a_swap_which_then_writes_no_other_tombstone(self, store):
        put(store, OLD, 100)
        put(store, OTHER, 90, OF_OWNER)
        assert store.run([swap()]) == [replaced_marker(OTHER)]
        assert (value(store), value(store, OF_OLD)) == (OLD, None)


class TestWithoutATombstone:
    """`unless_replaced` changes nothing then."""

    def test_a_read_returns_the_value(self, store):
        transition = read_transition(KEY)._replace(unless_replaced=OWNER)
        assert store.run([transition]) == [None]
        put(store, OTHER, 100)
        assert store.run([transition]) == [OTHER]

    def test_a_transition_applies_to_expected_values_only(self, store):
        hold = Transition(KEY, (OWNER, f"{OWNER}?"), OWNER, 600, unless_replaced=OWNER)
        assert store.run([hold]) == [None]
        assert value(store) is None
        put(store, f"{OWNER}?", 100)
        assert store.run([hold]) == [f"{OWNER}?"]
        assert value(store) == OWNER
        assert 598 < ttl(store) <= 600
        release = Transition(KEY, (OWNER,), None, 0, unless_replaced=OWNER)
        assert store.run([release]) == [OWNER]
        assert value(store) is None

    def test_a_transition_that_extends_never_shortens_a_ttl(self, store):
        put(store, OWNER, 600)
        store.run([Transition(KEY, (OWNER,), OWNER, 60, extends=True, unless_replaced=OWNER)])
        assert 598 < ttl(store) <= 600


class TestASwap:
    def test_takes_over_the_old_owners_held_lock(self, store):
        put(store, OLD, 100)
        assert store.run([swap(600)]) == [OLD]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)
        assert 598 < ttl(store) <= 600

    def test_acquires_an_absent_lock_if_expected(self, store):
        assert store.run([swap(600)]) == [None]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)
        assert 598 < ttl(store) <= 600

    def test_acquires_an_absent_lock_unless_already_replaced(self, store):
        """FETCH of an `expiry` job before the producer's swap, or after its lock lapsed."""
        assert store.run([at_fetch(600, ())]) == [None]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)
        store.run([Transition(KEY, (OWNER,), None, 0)])
        assert store.run([at_fetch(600, ())]) == [None]
        assert value(store) is None

    @pytest.mark.parametrize("present", [OTHER, f"{OTHER}?", f"{OLD}?"])
    def test_leaves_another_owners_lock_but_writes_the_tombstone(self, store, present):
        """Faktory has accepted the new job, so the old job must be superseded."""
        put(store, present, 100)
        assert store.run([swap(600)]) == [present]
        assert (value(store), value(store, OF_OLD)) == (present, OWNER)
        assert 98 < ttl(store) <= 100

    def test_takes_over_the_old_owners_lock_if_only_that_is_expected(self, store):
        """FETCH of an `expiry` job."""
        put(store, OLD, 100)
        assert store.run([at_fetch(600, ())]) == [OLD]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)

    @pytest.mark.parametrize(
        ("present", "tombstone"), [(OLD, OWNER), (OWNER, None), (f"{OWNER}?", None)]
    )
    def test_without_a_value_deletes_the_lock_of_either_owner(self, store, present, tombstone):
        """FETCH of a `start` job."""
        put(store, present, 600)
        assert store.run([at_fetch(0, (f"{OWNER}?", OWNER), None)]) == [present]
        assert (value(store), value(store, OF_OLD)) == (None, tombstone)

    @pytest.mark.parametrize("present", [OWNER, f"{OWNER}?"])
    def test_of_the_owners_own_lock_writes_no_tombstone(self, store, present):
        """It was written with the swap. The old owner may be back by now with work of its own."""
        put(store, present, 100)
        assert store.run([at_fetch()]) == [present]
        assert (value(store), value(store, OF_OLD)) == (OWNER, None)
        assert 598 < ttl(store) <= 600

    def test_changes_nothing_for_an_owner_replaced_by_the_other(self, store):
        """Otherwise each job would supersede the other, and none would run."""
        put(store, OWNER, 100)
        assert store.run([swap(new=OLD, unless_replaced=OLD, replaces=OWNER)]) == [OWNER]
        assert store.run([at_fetch()]) == [replaced_marker(OLD)]
        assert store.run([swap()]) == [replaced_marker(OLD)]
        assert value(store, OF_OLD) is None

    def test_the_second_time_changes_nothing(self, store):
        put(store, OLD, 100)
        store.run([swap(200)])
        assert store.run([swap(600, new=OTHER)]) == [replaced_marker(OWNER)]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)
        assert 198 < ttl(store) <= 200


class TestTheTombstone:
    """Its TTL is that of the old lock, that of the new lock or 90 s, the longest of them."""

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            (None, 600, 600),
            (None, 30, 90),
            (100, 30, 100),
            (100, 600, 600),
            (700, 600, 700),
            (10, 0, 90),
        ],
    )
    def test_lapses_after_the_longest_of_the_three(self, store, old, new, expected):
        if old:
            put(store, OLD, old)
        store.run([swap(new) if new else at_fetch(0, (OWNER,), None)])
        assert expected - 2 < ttl(store, OF_OLD) <= expected

    def test_ignores_the_ttl_of_another_owners_lock(self, store):
        put(store, OTHER, 5000)
        store.run([swap(600)])
        assert 598 < ttl(store, OF_OLD) <= 600

    def test_is_not_overwritten(self, store):
        """A third job replaced the old one before this worker's FETCH."""
        put(store, OLD, 1000)
        put(store, OTHER, 200, OF_OLD)
        assert store.run([at_fetch()]) == [OLD]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OTHER)
        assert 198 < ttl(store, OF_OLD) <= 200


def test_a_batch_may_mix_all_kinds_of_transitions(store):
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


def test_keys_and_owners_of_any_text_are_returned_unchanged(store):
    key, old, new = "unique:1:Grüße 🎉\r\n\x00:abc", "jid-é\r\n\x00a", "jid-è🎉\x00"
    put(store, old, 100, key)
    transition = Transition(key, (None,), new, 600, unless_replaced=new, replaces=old, once=True)
    assert store.run([transition]) == [old]
    assert store.run([transition]) == [replaced_marker(new)]
    assert value(store, tombstone_key(key, old)) == new


class TestRedisOnly:
    def test_a_swap_is_one_script_with_keys_of_one_slot(self, redis_url):
        """A Cluster takes the slot from the part of a key in braces."""
        seen = commands_seen(redis_url, lambda store: store.run([swap(600)]))
        [(command, _, number, *keys)] = [text.split() for text in seen]
        assert (command, number) == ("EVALSHA", "3")
        assert keys[:3] == [KEY, OF_OWNER, OF_OLD]
        assert OF_OLD.startswith(f"{{{KEY}}}")

    def test_a_replaceable_acquire_is_one_script_of_two_keys(self, redis_url):
        transition = acquire_transition(KEY, OWNER, 60, replaceable=True)
        [seen] = commands_seen(redis_url, lambda store: store.run([transition]))
        assert seen.split()[0] == "EVALSHA"
        assert seen.split()[2:5] == ["2", KEY, OF_OWNER]

    def test_scripts_are_loaded_again_after_a_server_forgot_them(self, redis_url, new_store):
        store = new_store(redis_url)
        put(store, OLD, 100)
        store.run([read_transition(f"{KEY}2")._replace(unless_replaced=OWNER)])
        with redis.Redis.from_url(redis_url) as client:
            client.script_flush()
        batch = [
            acquire_transition(f"{KEY}1", OWNER, 60),
            swap(600),
            read_transition(f"{KEY}2")._replace(unless_replaced=OLD),
        ]
        assert store.run(batch) == [None, OLD, None]
        assert (value(store), value(store, OF_OLD)) == (OWNER, OWNER)

    def test_a_refused_batch_reports_an_applied_swap(self, redis_url, new_store):
        store = new_store(redis_url)
        put(store, OLD, 100)
        with raw(store) as client:
            client.rpush(f"{KEY}2", "no lock")
        transition = swap(600)
        with pytest.raises(StoreError, match=r"Redis at \S+ refused 1 of 2 commands") as caught:
            store.run([transition, read_transition(f"{KEY}2")._replace(unless_replaced=OWNER)])
        assert caught.value.done == (transition,)
        assert value(store) == OWNER

    def test_a_refused_batch_does_not_report_a_forbidden_swap(self, redis_url, new_store):
        store = new_store(redis_url)
        put(store, OTHER, 90, OF_OLD)
        with raw(store) as client:
            client.rpush(f"{KEY}2", "no lock")
        with pytest.raises(StoreError) as caught:
            store.run([swap(600), read_transition(f"{KEY}2")])
        assert caught.value.done == ()
