"""NOTUNIQUE: pushes to a server that keeps jobs unique itself (Enterprise)."""

from __future__ import annotations

import json

import pytest

from faktory_unique import Client, DuplicateJob, Job, Policy, Producer, PushStatus, Unique
from tests.integration.scripted import ScriptedServer, bulk

NOT_UNIQUE = "NOTUNIQUE Job not unique"


def rejecting(*known_args):
    """Return the script of a server that rejects jobs with these args."""

    def script(peer):
        for command in peer:
            jobs = json.loads(command.removeprefix("PUSHB "))
            rejected = {job["jid"]: NOT_UNIQUE for job in jobs if job["args"] in known_args}
            peer.send(bulk(json.dumps(rejected)))

    return script


def rejecting_all(peer):
    """Run the script of a server that rejects the command as a whole."""
    for _ in peer:
        peer.send(f"-{NOT_UNIQUE}\r\n".encode())


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


@pytest.mark.parametrize("script", [rejecting([1]), rejecting_all], ids=["of it", "of all"])
def test_job_is_duplicate_of_unknown_job_and_lock_is_rolled_back(unique, push_to, script):
    with ScriptedServer(script) as server:
        result = push_to(server).push(job(1))
    assert not result
    assert (result.status, result.jid, result.error) == (PushStatus.DUPLICATE, "", None)
    assert result.key is not None
    assert unique._context.store.values() == {}


def test_job_without_a_policy_is_duplicate_too(unique, push_to):
    with ScriptedServer(rejecting([1])) as server:
        result = push_to(server).push(job(1, "Other"))
    assert (result.status, result.jid, result.key) == (PushStatus.DUPLICATE, "", None)


def test_other_jobs_of_a_list_are_pushed(unique, push_to):
    with ScriptedServer(rejecting([2])) as server:
        bulk_result = push_to(server).push_bulk([job(1), job(2), job(3)])
    assert dict(bulk_result) == {}
    assert [r.status for r in bulk_result.results] == ["pushed", "duplicate", "pushed"]
    assert len(bulk_result.duplicates) == 1
    assert sorted(unique._context.store.values().values()) == sorted(
        r.jid for r in bulk_result.pushed
    )


def test_duplicate_raises_if_its_policy_says_so(unique, push_to):
    message = (
        r"^Raising was not pushed: an equal job is queued or running "
        r"\(Faktory does not report its jid\)$"
    )
    with (
        ScriptedServer(rejecting([1])) as server,
        pytest.raises(DuplicateJob, match=message) as caught,
    ):
        push_to(server).push(job(1, "Raising"))
    assert [(r.status, r.jid) for r in caught.value.results] == [("duplicate", "")]
    assert unique._context.store.values() == {}
