"""`MemoryStore` beyond the contract of all stores: names, `values`, `ttl` and `clear`."""

from __future__ import annotations

import gc
import multiprocessing

import pytest

from faktory_unique import InvalidSettings
from faktory_unique.locks.lifecycle import acquire_transition, confirm_transition
from faktory_unique.stores.factory import open_store
from faktory_unique.stores.memory import MemoryStore, register_store
from tests.patience import PATIENCE


def test_a_url_without_a_name_opens_a_new_store():
    assert open_store("memory://") is not open_store("memory://")


def test_a_name_opens_the_store_registered_under_it():
    store = MemoryStore()
    register_store("mine", store)
    assert open_store("memory://mine") is store


def test_an_unknown_name_is_an_error_that_shows_it():
    """Nobody holds a reference to the store any more."""
    register_store("gone", MemoryStore())
    gc.collect()
    with pytest.raises(InvalidSettings, match="this process has no memory store 'gone'"):
        open_store("memory://gone")


def test_a_forked_child_does_not_open_its_copy_of_the_store():
    """No other process would see its locks."""
    store = MemoryStore()
    register_store("parents", store)
    child = multiprocessing.get_context("fork").Process(target=_open_fails, args=["parents"])
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0


def _open_fails(name):
    with pytest.raises(InvalidSettings):
        open_store(f"memory://{name}")


def test_values_returns_all_locks_and_clear_deletes_them():
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
