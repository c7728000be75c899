"""What a run journals of Faktory's storage: each stored job, and the jobs around a kill."""

from __future__ import annotations

import contextlib
import json
import socket

import pytest
import redis

from scripts.servers import HOST
from tests.chaos.audit import Audit
from tests.chaos.faktory_kills import MOVE_SECONDS
from tests.chaos.fault_injector import FaultInjector
from tests.chaos.history import History
from tests.chaos.journal import Journal, read_journals
from tests.chaos.storage import StorageLog, waiting_fetches

WID = "worker-of-test"


@pytest.fixture
def server(new_faktory):
    """A Faktory, and with it a storage, that this test may kill."""
    return new_faktory()


@pytest.fixture
def journal(tmp_path):
    """The run's journal."""
    return Journal(tmp_path / "controller.jsonl", "controller")


@pytest.fixture
def storage_log(server, journal):
    """A log that follows the storage of the server."""
    log = StorageLog(server, journal)
    log.follow()
    return log


def job_text(jid, **fields):
    job = {"jid": jid, "jobtype": "Chaos", "args": [1], "retry": 3, **fields}
    custom = {"unique": {"owner": f"owner-of-{jid}"}}
    return json.dumps({**job, "custom": custom}, separators=(",", ":"))  # as Faktory stores it


def push_command(jid, **fields):
    return f"PUSH {job_text(jid, **fields)}"


@contextlib.contextmanager
def waiting_worker(server):
    """A worker with a FETCH that waits. The next one follows when it ends after two seconds."""
    hello = {"v": 2, "wid": WID, "hostname": "h", "pid": 1, "labels": []}
    with socket.create_connection((HOST, server.port)) as worker:
        worker.sendall(f"HELLO {json.dumps(hello)}\r\n".encode())
        worker.sendall(b"FETCH default\r\n" * 30)
        yield


def entries(tmp_path, type_):
    return [entry for entry in read_journals(tmp_path) if entry["type"] == type_]


def test_each_place_of_a_job_is_journalled(server, storage_log, tmp_path, wait_for):
    fail = 'FAIL {"jid":"job-number-1","message":"","errtype":"","backtrace":[]}'
    later = push_command("job-number-2", at="2100-01-01T00:00:00Z")
    server.ask(push_command("job-number-1"), "FETCH default", fail, later, wid=WID)
    wait_for(lambda: len(entries(tmp_path, "stored")) == 4)
    stored = entries(tmp_path, "stored")
    assert [(entry["jid"], entry["owner"], entry["place"]) for entry in stored] == [
        ("job-number-1", "owner-of-job-number-1", "q:default"),
        ("job-number-1", "owner-of-job-number-1", "working"),
        ("job-number-1", "owner-of-job-number-1", "retries"),
        ("job-number-2", "owner-of-job-number-2", "scheduled"),
    ]


def test_jobs_of_a_restarted_server_are_journalled(server, storage_log, tmp_path):
    server.ask(push_command("job-number-1"))
    server.restart()
    storage_log.follow()
    assert [entry["place"] for entry in entries(tmp_path, "stored")] == ["q:default"] * 2


def test_kill_is_journalled_with_the_jobs_around_it(server, storage_log, journal, tmp_path):
    server.ask(push_command("job-number-1"))
    FaultInjector({"faktory": server}, {}, None, journal, storage_log)._kill_server("faktory")
    [kill] = entries(tmp_path, "faktory_killed")
    assert kill["before"]["owners"] == kill["owners"] == ["owner-of-job-number-1"]
    assert kill["began"] - kill["before"]["began"] >= MOVE_SECONDS
    assert kill["most_moves"] >= 2  # the connection that asked, and the server's own tasks
    assert server.running
    assert len(entries(tmp_path, "stored")) == 2


def test_job_popped_at_the_kill_is_gone(server, storage_log, journal, tmp_path, monkeypatch):
    """A FETCH waits, Faktory is paused, and only then its storage gets the job, and pops it."""
    pause = server.pause

    def pause_then_store():
        pause()
        with redis.Redis(unix_socket_path=str(server.storage_socket)) as storage:
            storage.lpush("q:default", job_text("job-number-1"))

    monkeypatch.setattr(server, "pause", pause_then_store)
    producer = Journal(tmp_path / "p.jsonl", "p")
    push = {"call": 1, "jid": "owner-of-job-number-1", "key": "k"}
    producer.write("pushing", **push, at="")
    producer.write("result", **push, status="pushed", result_jid="job-number-1", confirmed=True)
    with waiting_worker(server):
        FaultInjector({"faktory": server}, {}, None, journal, storage_log)._kill_server("faktory")
    audit = Audit(History(read_journals(tmp_path)))
    assert (len(audit.gone_with_faktory), audit.lost) == (1, [])


def test_fetch_that_waits_for_a_job_is_counted(server, wait_for):
    assert waiting_fetches(server) == 0
    with waiting_worker(server):
        wait_for(lambda: waiting_fetches(server) == 1)
