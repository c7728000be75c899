"""A server that keeps jobs unique itself (Enterprise), told from its NOTUNIQUE."""

from __future__ import annotations

import json

import pytest

from faktory_unique import Client, DuplicateJob, Job, Policy, Producer, PushStatus, Unique
from tests.integration.scripted import ScriptedServer, bulk

SAID = "NOTUNIQUE Job not unique"


def with_equals_of(*known):
    """A server that has equals of jobs with these args."""

    def script(peer):
        for command in peer:
            jobs = json.loads(command.removeprefix("PUSHB "))
            peer.say(bulk(json.dumps({j["jid"]: SAID for j in jobs if j["args"] in known})))

    return script


def of_one_answer(peer):
    """A server that says it of the command as a whole."""
    for _ in peer:
        peer.say(f"-{SAID}\r\n".encode())


def job(n, jobtype="Email"):
    return Job(jobtype=jobtype, args=[n])


@pytest.fixture
def unique():
    return Unique("memory://", {"Email": Policy(), "Raising": Policy(on_conflict="raise")})


@pytest.fixture
def push_to(unique):
    clients = []

    def producer(server):
        clients.append(Client(server.url, role="producer"))
        clients[-1].connect()
        return Producer(clients[-1], [unique])

    yield producer
    for client in clients:
        client.disconnect()


@pytest.mark.parametrize("script", [with_equals_of([1]), of_one_answer], ids=["of it", "of all"])
def test_it_is_a_duplicate_of_a_job_that_is_not_named_and_our_lock_is_given_back(
    unique, push_to, script
):
    with ScriptedServer(script) as server:
        result = push_to(server).push(job(1))
    assert not result
    assert (result.status, result.jid, result.error) == (PushStatus.DUPLICATE, "", None)
    assert result.key is not None
    assert unique.store.values() == {}


def test_of_a_job_that_is_not_unique_to_us_it_is_one_too(unique, push_to):
    with ScriptedServer(with_equals_of([1])) as server:
        result = push_to(server).push(job(1, "Other"))
    assert (result.status, result.jid, result.key) == (PushStatus.DUPLICATE, "", None)


def test_of_a_list_the_others_are_pushed(unique, push_to):
    with ScriptedServer(with_equals_of([2])) as server:
        bulk_result = push_to(server).push_bulk([job(1), job(2), job(3)])
    assert dict(bulk_result) == {}
    assert [r.status for r in bulk_result.results] == ["pushed", "duplicate", "pushed"]
    assert len(bulk_result.duplicates) == 1
    assert sorted(unique.store.values().values()) == sorted(r.jid for r in bulk_result.pushed)


def test_where_a_duplicate_raises_it_does(unique, push_to):
    told = "^1 of 1 jobs not pushed: another job is there already$"
    with (
        ScriptedServer(with_equals_of([1])) as server,
        pytest.raises(DuplicateJob, match=told) as e,
    ):
        push_to(server).push(job(1, "Raising"))
    assert [(r.status, r.jid) for r in e.value.results] == [("duplicate", "")]
    assert unique.store.values() == {}
