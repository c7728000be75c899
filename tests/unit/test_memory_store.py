"""What memory:// offers beyond the contract of all stores: names, and a look inside."""

from __future__ import annotations

import gc
import multiprocessing

import pytest

from faktory_unique import InvalidSettings
from faktory_unique.locks.lifecycle import acquire_transition, confirm_transition
from faktory_unique.stores.factory import open_store
from faktory_unique.stores.memory import MemoryStore, share


def test_without_a_name_each_is_a_store_of_its_own():
    assert open_store("memory://") is not open_store("memory://")


def test_a_name_means_the_store_that_is_shared_under_it():
    store = MemoryStore()
    share("mine", store)
    assert open_store("memory://mine") is store


def test_a_name_that_nobody_holds_a_store_under_is_told():
    share("gone", MemoryStore())
    gc.collect()
    with pytest.raises(InvalidSettings, match="this process has no memory store 'gone'"):
        open_store("memory://gone")


def test_a_forked_child_does_not_take_its_copy_for_the_store():
    """Its locks would be seen by nobody."""
    store = MemoryStore()
    share("parents", store)
    child = multiprocessing.get_context("fork").Process(target=_finds_none, args=["parents"])
    child.start()
    child.join(10)
    assert child.exitcode == 0


def _finds_none(name):
    with pytest.raises(InvalidSettings):
        open_store(f"memory://{name}")


def test_its_values_can_be_looked_at_and_all_be_freed():
    now = [0.0]
    store = MemoryStore(lambda: now[0])
    store.run([acquire_transition("a", "jid-a", 60), acquire_transition("b", "jid-b", 60)])
    store.run([confirm_transition("b", "jid-b", 600)])
    assert store.values() == {"a": "jid-a?", "b": "jid-b"}
    now[0] = 60
    assert store.values() == {"b": "jid-b"}
    store.clear()
    assert store.values() == {}
    assert store.ttl("b") is None
