"""The processes of a consumer: what ends them, and what their ends come to."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from faktory_unique import Job
from faktory_unique.faktory.serve import Task
from faktory_unique.faktory.worker_process import (
    NotBegun,
    ProcessEnded,
    WorkerProcess,
    WorkerProcesses,
)
from scripts.servers.process import is_running
from tests.integration import handlers

SPAWN = multiprocessing.get_context("spawn")


def task(handler, *args):
    job = {"jid": "jid-00000001", "jobtype": "T", "args": list(args)}
    return Task((), handler, job, bind=False, tell_sentry=False)


@pytest.fixture
def process():
    process = WorkerProcess(SPAWN)
    yield process
    process.close()


def pid_of(process):
    return process._process.pid


def test_it_serves_one_job_after_another(process, notes):
    for _ in range(3):
        assert process.perform(task(handlers.note_pid, notes.path)) is None
    assert len(set(notes())) == 1


def test_what_was_raised_comes_back_as_words(process):
    assert process.perform(task(handlers.fail, "why")).message == "why"


@pytest.mark.parametrize(
    ("handler", "how"),
    [
        (handlers.die, "with status 9"),
        (handlers.die_well, "with status 0"),
        (handlers.crash, "by signal SIGSEGV"),
    ],
)
def test_an_end_is_told_and_the_next_job_has_a_new_process(process, notes, handler, how):
    with pytest.raises(ProcessEnded, match=f"{how} before the handler returned"):
        process.perform(task(handler))
    assert process.perform(task(handlers.note, notes.path)) is None


def test_one_that_died_idle_costs_nothing(process, notes):
    process.start()
    os.kill(pid_of(process), signal.SIGKILL)
    assert process.perform(task(handlers.note, notes.path)) is None
    assert notes() == ["ran"]


def test_what_cannot_be_sent_is_an_error_and_the_process_goes_on(process, notes):
    with pytest.raises(Exception, match="pickle"):
        process.perform(task(lambda: None))
    assert process.perform(task(handlers.note, notes.path)) is None


def test_a_handler_that_cannot_be_loaded_there_fails_its_job(process, notes, monkeypatch):
    """Its module is not on the path of a new process, say."""
    module = type(sys)("not_there")
    module.handler = handlers.note
    exec("def handler(*_args): pass", module.__dict__)  # a function of that module
    monkeypatch.setitem(sys.modules, "not_there", module)
    error = process.perform(task(module.handler))
    assert (error.errtype, "not_there" in error.message) == ("ModuleNotFoundError", True)
    assert process.perform(task(handlers.note, notes.path)) is None


def test_a_large_job_and_a_large_error_pass(process, notes):
    """More than a pipe holds."""
    text = "x" * 1_000_000
    assert len(process.perform(task(handlers.fail, text)).message) == 1000


def test_ending_them_cuts_handlers_off_however_deaf(notes, wait_for):
    processes = WorkerProcesses(SPAWN, 2)
    processes.start()
    ended = []

    def work():
        with contextlib.suppress(ProcessEnded):
            processes.perform(task(handlers.note_deafly, notes.path, 60))
        ended.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: notes() == ["started", "started"])
    since = time.monotonic()
    processes.kill()
    for thread in threads:
        thread.join(10)
    assert len(ended) == 2
    assert max(ended) - since < 2
    with pytest.raises(NotBegun, match="the consumer has stopped"):
        processes.perform(task(handlers.note, notes.path))
    processes.close()


def test_those_that_are_idle_end_in_peace(tmp_path, capfd):
    """What their handlers have written is flushed."""
    for start in ("fork", "spawn", "forkserver"):
        processes = WorkerProcesses(multiprocessing.get_context(start), 2)
        processes.start()
        assert processes.perform(task(handlers.say, start)) is None
        since = time.monotonic()
        processes.kill()
        processes.close()
        assert time.monotonic() - since < 1
    assert capfd.readouterr().out.split() == ["fork", "spawn", "forkserver"]


class Dying:
    """Is not to be read: the process that tries ends."""

    def __reduce__(self):
        return os._exit, (7,)


def test_a_job_that_no_process_can_read_was_not_begun(process, notes):
    with pytest.raises(NotBegun, match="3 processes have ended before they had read the job"):
        process.perform(task(handlers.note, notes.path, Dying()))
    assert process.perform(task(handlers.note, notes.path)) is None


def test_a_job_without_a_process_is_put_back(
    producer, unique, working, wait_for, notes, sizes, monkeypatch
):
    """A machine that is short of processes or memory spends no retry."""

    def fork(_self):
        raise BlockingIOError("Resource temporarily unavailable")

    with working(unique, concurrency=1):
        producer.push(Job(jobtype="Unique.note", args=[notes.path]))
        wait_for(lambda: notes() == ["ran"])
        monkeypatch.setattr(WorkerProcess, "start", fork)
        assert producer.push(Job(jobtype="Unique.note", args=[notes.path, "again"], retry=0))
        wait_for(lambda: sizes("scheduled") == 1)
    assert (sizes("working"), notes()) == (0, ["ran"])


def test_a_sigterm_to_the_whole_group_leaves_jobs_their_grace_period(
    producer, unique, working, wait_for, notes, locks
):
    """As systemd and `docker stop` on a shell's child do it."""
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 1]))
    with working(unique) as consumer:
        wait_for(lambda: notes() == ["started"])
        for process in consumer._processes._all:
            os.kill(pid_of(process), signal.SIGTERM)
            os.kill(pid_of(process), signal.SIGINT)
        wait_for(lambda: notes() == ["started", "ended"])
        wait_for(lambda: locks() == {})


CONSUMER = textwrap.dedent(
    """
    import json, multiprocessing, sys
    from faktory_unique import Client, Consumer
    from tests.integration import handlers

    if __name__ == "__main__":
        with Client(sys.argv[1], role="consumer", worker_id="killed-worker") as client:
            context = multiprocessing.get_context(sys.argv[2])
            consumer = Consumer(client, [sys.argv[2]], concurrency=3, context=context)
            consumer.register("Unique.note_slowly", handlers.note_slowly)
            start = consumer._start_processes

            def tell():
                start()
                pids = [process._process.pid for process in consumer._processes._all]
                print(json.dumps(pids), flush=True)

            consumer._start_processes = tell
            consumer.run()
    """
)


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_a_consumer_that_is_killed_leaves_no_process_behind(
    faktory_url, producer, notes, wait_for, tmp_path, context
):
    """Nor one that has a job, once that is done."""
    script = tmp_path / "killed.py"
    script.write_text(CONSUMER, encoding="utf-8")
    # A queue of its own: the FETCH of a killed consumer takes one more job, for nobody.
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 1], queue=context))
    worker = subprocess.Popen(
        [sys.executable, str(script), faktory_url, context],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109  # a string is wanted
    )
    pids = json.loads(worker.stdout.readline())
    wait_for(lambda: notes() == ["started"])
    worker.kill()
    worker.wait(10)
    worker.stdout.close()
    assert any(is_running(pid) for pid in pids)
    wait_for(lambda: not any(is_running(pid) for pid in pids))
    assert notes() == ["started", "ended"]


def test_signals_in_a_shower_end_it_and_nothing_waits_for_itself(faktory_url, tmp_path):
    """An Event that a handler sets within the Event's own lock would."""
    script = tmp_path / "showered.py"
    script.write_text(CONSUMER, encoding="utf-8")
    worker = subprocess.Popen(
        [sys.executable, str(script), faktory_url, "spawn"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109  # likewise
    )
    worker.stdout.readline()
    for _ in range(500):
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    worker.communicate(timeout=20)
    assert worker.returncode == 0
