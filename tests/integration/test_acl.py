"""The rights that docs/rollout.md lists are enough, and a missing right is named."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest
import redis

from faktory_unique import Job, Policy, Producer, StoreError, Unique
from faktory_unique.locks.lifecycle import release_transition
from faktory_unique.stores.redis import RedisStore
from faktory_unique.testing import FakeFaktory

PAGE = Path(__file__).parents[2] / "docs" / "rollout.md"
POLICIES = {
    "Skip": Policy(),
    "Replace": Policy(on_conflict="replace"),
    "Exclusive": Policy(until="start", exclusive=True),
}


@pytest.fixture
def admin(new_redis):
    server = new_redis()
    with redis.Redis.from_url(server.url) as client:
        client.port = server.port
        [line] = re.findall(r"^(ACL SETUSER .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        client.execute_command(*line.split())
        yield client


@pytest.fixture
def url(admin):
    return f"redis://faktory-unique:password@127.0.0.1:{admin.port}/0"


def test_listed_rights_are_enough(admin, url):
    """For each conflict, for a run lock, for `locks`, and for `release`."""
    events = []
    fake = FakeFaktory()
    with closing(fake), Unique(url, POLICIES, hooks=[events.append]) as unique:
        producer = Producer(fake.client(), [unique])
        consumer = fake.consumer(middleware=[unique])
        for jobtype in POLICIES:
            consumer.register(jobtype, lambda *_args: None)
            first = producer.push(Job(jobtype=jobtype, args=[1]))
            again = producer.push(Job(jobtype=jobtype, args=[1]))
            assert first
            assert bool(again) is (jobtype == "Replace")
        fake.drain(consumer)
        assert list(unique.locks()) == []
        producer.push(Job(jobtype="Skip", args=[2]))
        assert unique.holder("Skip", [2])
        assert [lock.name for lock in unique.locks()] == ["Skip"]
        assert unique.release("Skip", [2])
    assert not {"store_error", "unguarded"} & {event.name for event in events}
    refused = {entry["object"] for entry in admin.acl_log()} - {"client|setinfo"}
    assert refused == set()


def test_listed_rights_open_nothing_else(admin, url):
    admin.set("session", "secret")
    with redis.Redis.from_url(url) as client:
        for command in (("GET", "session"), ("FLUSHALL",), ("CONFIG", "GET", "*")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


def test_refused_script_load_is_named(admin, url):
    """Redis says only that it has no such script, if one does not look at the reply before."""
    admin.execute_command("ACL", "SETUSER", "faktory-unique", "-script|load")
    with (
        closing(RedisStore(url)) as store,
        pytest.raises(StoreError, match=r"NOPERM .*'script\|load'") as caught,
    ):
        store.run([release_transition("unique:1:Skip:abc", "jid-00000001")])
    assert caught.value.refused
