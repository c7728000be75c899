"""The processes of a consumer: what ends them, and what their ends come to."""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from faktory_unique import Client, Consumer, Job, Middleware
from faktory_unique.worker.child import Task
from faktory_unique.worker.process_pool import (
    NotBegun,
    ProcessEnded,
    ProcessPool,
    WorkerProcess,
)
from scripts.servers.process import is_running
from tests.integration import handlers

SPAWN = multiprocessing.get_context("spawn")


ROOT = Path(__file__).parents[2]


def command(name, *given):
    """A program of this folder. From the root: its processes import the handlers."""
    return [sys.executable, "-m", f"tests.integration.{name}", *given]


def start_program(name, *given):
    return subprocess.Popen(command(name, *given), cwd=ROOT, stdout=subprocess.PIPE, text=True)


def run_program(name, *given):
    return subprocess.run(
        command(name, *given), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


def task(handler, *args):
    job = {"jid": "jid-00000001", "jobtype": "T", "args": list(args)}
    return Task((), handler, job, bind=False, tell_sentry=False)


@pytest.fixture
def process():
    process = WorkerProcess(SPAWN)
    yield process
    process.close(time.monotonic())


def pid_of(process):
    return process._life.process.pid


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


def test_a_handler_whose_module_raises_an_os_error_there_fails_its_job(process, tmp_path, notes):
    """Told from a broken pipe: it would be put back for ever, and the reason told nowhere."""
    (tmp_path / "needs_a_file.py").write_text("def handler(*_): pass\n", encoding="utf-8")
    process.start()
    process.perform(task(handlers.add_path, str(tmp_path)))
    sys.path.insert(0, str(tmp_path))
    try:
        handler = importlib.import_module("needs_a_file").handler
    finally:
        sys.path.remove(str(tmp_path))
    (tmp_path / "needs_a_file.py").write_text("open('/nonexistent')\n", encoding="utf-8")
    for compiled in (tmp_path / "__pycache__").glob("*"):
        compiled.unlink()
    error = process.perform(task(handler))
    assert (error.errtype, "/nonexistent" in error.message) == ("FileNotFoundError", True)
    assert process.perform(task(handlers.note, notes.path)) is None


@pytest.mark.parametrize("handler", [handlers.fork_and_return, handlers.fork_and_exit])
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_a_fork_of_a_handlers_answers_no_other_job(notes, handler, start):
    """Its child came back into the process's life, and answered the next job for it."""
    process = WorkerProcess(multiprocessing.get_context(start))
    try:
        assert process.perform(task(handler, notes.path)) is None
        for n in range(5):
            assert process.perform(task(handlers.fail, f"{n}")).message == f"{n}"
            assert process.perform(task(handlers.note, notes.path)) is None
    finally:
        process.close(time.monotonic())
    assert notes() == ["parent", *["ran"] * 5]


def test_the_end_of_one_that_has_closed_its_pipe_is_awaited_without_work(process):
    process.start()
    before = time.process_time()
    with pytest.raises(ProcessEnded):
        process.perform(task(handlers.close_everything))
    assert time.process_time() - before < 1


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_an_end_is_noticed_where_nobody_may_wait_for_children(start):
    """SIGCHLD ignored, which a program inherits from whoever started it."""
    ended = run_program("deaths_unwaited", start)
    told = "the process ended in an unknown way before the handler returned\n"
    assert (ended.stdout, ended.returncode) == (told * 2, 0), ended.stderr


def test_a_large_job_and_a_large_error_pass(process, notes):
    """More than a pipe holds."""
    text = "x" * 1_000_000
    assert len(process.perform(task(handlers.fail, text)).message) == 1000


def test_ending_them_cuts_handlers_off_however_deaf(notes, wait_for):
    processes = ProcessPool(SPAWN, 2)
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
    for start in ("fork", "spawn"):  # a fork server writes where it was started
        processes = ProcessPool(multiprocessing.get_context(start), 2)
        processes.start()
        assert processes.perform(task(handlers.say, start)) is None
        since = time.monotonic()
        processes.kill()
        processes.close()
        assert time.monotonic() - since < 1
    assert capfd.readouterr().out.split() == ["fork", "spawn"]


class Dying:
    """Is not to be read: the process that tries ends."""

    def __reduce__(self):
        return os._exit, (7,)


def test_a_job_that_no_process_can_read_was_not_begun(process, notes):
    with pytest.raises(NotBegun, match="3 processes have ended before they had read the job"):
        process.perform(task(handlers.note, notes.path, Dying()))
    assert process.perform(task(handlers.note, notes.path)) is None


def test_a_job_without_a_process_is_requeued(
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
        for process in consumer._shift.processes._all:
            os.kill(pid_of(process), signal.SIGTERM)
            os.kill(pid_of(process), signal.SIGINT)
        wait_for(lambda: notes() == ["started", "ended"])
        wait_for(lambda: locks() == {})


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_a_consumer_that_is_killed_leaves_no_process_behind(
    faktory_url, producer, notes, wait_for, context
):
    """Nor one that has a job, once that is done."""
    # A queue of its own: the FETCH of a killed consumer takes one more job, for nobody.
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 1], queue=context))
    worker = start_program("worker_telling_pids", faktory_url, context)
    pids = json.loads(worker.stdout.readline())
    wait_for(lambda: notes() == ["started"])
    worker.kill()
    worker.wait(10)
    worker.stdout.close()
    assert any(is_running(pid) for pid in pids)
    wait_for(lambda: not any(is_running(pid) for pid in pids))
    assert notes() == ["started", "ended"]


def test_signals_in_a_shower_end_it_and_nothing_waits_for_itself(faktory_url):
    """An Event that a handler sets within the Event's own lock would."""
    worker = start_program("worker_telling_pids", faktory_url, "spawn")
    worker.stdout.readline()
    for _ in range(500):
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    worker.communicate(timeout=20)
    assert worker.returncode == 0


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_process_whose_consumer_runs_in_a_daemon_thread_ends_with_its_main_thread(
    producer, faktory_url, notes, sizes, start
):
    """And hands back what it had."""
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 60], queue=start))
    ended = run_program("worker_in_daemon_thread", faktory_url, start, notes.path)
    assert ended.returncode == 0, ended.stderr
    assert notes() == ["started"]
    assert (sizes("working"), sizes("enqueued")) == (0, 1)


class Dawdling(Middleware):
    """Takes its time before a job is begun."""

    def __init__(self):
        self.amid = threading.Event()
        self.go_on = threading.Event()

    def fetch(self, job, call_next):
        self.amid.set()
        assert self.go_on.wait(20)
        return call_next(job)


def test_a_job_that_is_begun_when_its_run_is_over_is_requeued(
    producer, unique, working, wait_for, note_job, notes, sizes, faktory_url
):
    """By no means failed; and it takes nothing of a later run of the same consumer."""
    dawdling = Dawdling()
    producer.push(note_job("late", retry=0))
    with working(unique, dawdling, grace_period=0.2, concurrency=1) as consumer:
        assert dawdling.amid.wait(10)
        consumer.stop()
        wait_for(consumer._ended.is_set)
        again = threading.Thread(target=consumer.run)
        again.start()
        dawdling.go_on.set()
        wait_for(lambda: notes() == ["late"])
        wait_for(lambda: sizes("working") == 0)
        consumer.stop()
        again.join(20)
    assert sizes("enqueued") == 0


def test_no_thread_of_its_jobs_outlives_a_run(working, unique, producer, note_job, wait_for, notes):
    with working(unique, concurrency=2):
        producer.push_bulk([note_job(str(n)) for n in range(6)])
        wait_for(lambda: len(notes()) == 6)
    wait_for(lambda: "faktory-job" not in {thread.name for thread in threading.enumerate()})


def test_without_a_thread_to_be_had_the_job_is_requeued(
    producer, unique, working, wait_for, note_job, sizes, monkeypatch
):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "faktory-job":
            raise RuntimeError("can't start new thread")
        start(thread)

    with working(unique):
        monkeypatch.setattr(threading.Thread, "start", refuse)
        producer.push(note_job(retry=0))
        wait_for(lambda: sizes("scheduled") == 1)
        monkeypatch.undo()


def test_a_fetch_that_nobody_answers_holds_up_a_stop_for_seconds_alone(
    new_faktory, unique, wait_for, notes
):
    """Its connection is half-open, say: the grace period runs from the stop on."""
    server = new_faktory()
    with Client(server.url, role="consumer", worker_id="held-up-worker") as client:
        consumer = Consumer(client, middleware=[unique], context=SPAWN, grace_period=1)
        thread = threading.Thread(target=consumer.run)
        thread.start()
        wait_for(
            lambda: (
                [shared.stream for shared in client._fetches.connection._streams.values()]
                not in ([], [None])
            )
        )
        server.pause()
        since = time.monotonic()
        consumer.stop()
        thread.join(20)
        assert time.monotonic() - since < 9
        server.resume()
