"""The child processes of a consumer: crashes, forks, kills, signals, and jobs without a process."""

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

from faktory_unique import Client, Consumer, Job, Middleware, Producer
from faktory_unique.worker.child_process import ChildProcess, NotStarted, ProcessEnded
from faktory_unique.worker.handler_call import HandlerCall
from faktory_unique.worker.process_pool import ProcessPool
from scripts.servers.process import is_running
from tests.integration import handlers
from tests.patience import PATIENCE

SPAWN = multiprocessing.get_context("spawn")


ROOT = Path(__file__).parents[2]


def command(name, *args):
    """Return the command of a program of this folder, run from the root to import handlers."""
    return [sys.executable, "-m", f"tests.integration.{name}", *args]


def start_program(name, *args):
    return subprocess.Popen(command(name, *args), cwd=ROOT, stdout=subprocess.PIPE, text=True)


def run_program(name, *args):
    return subprocess.run(
        command(name, *args),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def call(handler, *args):
    return HandlerCall((), handler, {"jid": "jid-00000001", "jobtype": "T", "args": list(args)})


@pytest.fixture
def process():
    process = ChildProcess(SPAWN)
    yield process
    process.close(time.monotonic())


def pid_of(process):
    return process._running.process.pid


def test_a_process_runs_one_job_after_another(process, notes):
    for _ in range(3):
        assert process.perform(call(handlers.note_pid, notes.path)) is None
    assert len(set(notes())) == 1


def test_an_exception_comes_back_as_text(process):
    assert process.perform(call(handlers.fail, "why")).message == "why"


@pytest.mark.parametrize(
    ("handler", "how"),
    [
        (handlers.die, "with status 9"),
        (handlers.die_well, "with status 0"),
        (handlers.crash, "by signal SIGSEGV"),
    ],
)
def test_a_crash_is_reported_and_the_next_job_runs(process, notes, handler, how):
    with pytest.raises(ProcessEnded, match=f"{how} before the handler returned"):
        process.perform(call(handler))
    assert process.perform(call(handlers.note, notes.path)) is None


@pytest.mark.parametrize("error", [ValueError, OSError, EOFError])
def test_an_unreadable_result_fails_its_own_job_only(process, error):
    """What the job has left in the pipe must not become the result of the next job."""
    with pytest.raises(ProcessEnded, match=f"the result could not be read: {error.__name__}"):
        process.perform(call(handlers.retry_unreadably, error))
    assert process.perform(call(handlers.fail, "its own")).message == "its own"


@pytest.mark.parametrize("messages", [("text",), (None,), (None, None), ("text", None)])
def test_a_handler_that_writes_to_its_pipe_shifts_no_result(process, messages):
    with contextlib.suppress(ProcessEnded):
        process.perform(call(handlers.write_to_the_pipe, *messages))
    for message in ("first", "second"):
        assert process.perform(call(handlers.fail, message)).message == message


@pytest.mark.parametrize("broken", ["process", "pipe"])
def test_a_process_that_died_idle_costs_no_job(process, notes, broken):
    """If it dies at the wrong time, only its pipe shows that."""
    running = process.start()
    if broken == "process":
        os.kill(pid_of(process), signal.SIGKILL)
    else:
        running.pipe.close()
    assert process.perform(call(handlers.note, notes.path)) is None
    assert notes() == ["ran"]


def test_a_call_that_does_not_pickle_ends_no_process(process, notes):
    with pytest.raises(Exception, match="pickle"):
        process.perform(call(lambda: None))
    assert process.perform(call(handlers.note, notes.path)) is None


def test_a_handler_that_cannot_be_imported_fails_its_job(process, notes, monkeypatch):
    """Its module may not be on the path of a new process."""
    module = type(sys)("not_there")
    module.handler = handlers.note
    exec("def handler(*_args): pass", module.__dict__)  # a function of that module
    monkeypatch.setitem(sys.modules, "not_there", module)
    error = process.perform(call(module.handler))
    assert (error.errtype, "not_there" in error.message) == ("ModuleNotFoundError", True)
    assert process.perform(call(handlers.note, notes.path)) is None


@pytest.mark.parametrize(
    ("source", "errtype", "message"),
    [
        ("open('/nonexistent')", "FileNotFoundError", "/nonexistent"),
        ("raise SystemExit('no settings')", "SystemExit", "no settings"),
    ],
)
def test_an_error_at_import_fails_the_job(
    process, tmp_path, notes, monkeypatch, source, errtype, message
):
    """Taken for a broken pipe, it would have the job requeued for ever, without a reason.

    Nor may it end the process: each process that is started for the job would end again.
    """
    module = tmp_path / "raises_at_import.py"
    module.write_text("def handler(*_): pass\n", encoding="utf-8")
    process.start()
    process.perform(call(handlers.add_path, str(tmp_path)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, module.stem, raising=False)
    handler = importlib.import_module(module.stem).handler
    module.write_text(f"{source}\n", encoding="utf-8")
    for compiled in (tmp_path / "__pycache__").glob("*"):
        compiled.unlink()
    error = process.perform(call(handler))
    assert (error.errtype, message in error.message) == (errtype, True)
    assert process.perform(call(handlers.note, notes.path)) is None


def open_descriptors():
    """Return what the descriptors of this process refer to, such as `socket:[4711]`."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(path.readlink()))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="lists descriptors in /proc")
@pytest.mark.parametrize("exc", [BlockingIOError, KeyboardInterrupt])
def test_a_failed_start_leaves_no_descriptor_open(monkeypatch, exc):
    """The machine is short of processes, or Ctrl-C came: the next start needs the descriptors."""

    def fail(_self):
        raise exc

    monkeypatch.setattr(SPAWN.Process, "start", fail)
    before = open_descriptors()
    with pytest.raises(exc) as caught:
        ChildProcess(SPAWN).start()
    assert open_descriptors() - before == set()
    assert caught.tb  # an exception that is kept keeps the frames of the start


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="lists descriptors in /proc")
@pytest.mark.parametrize("killed", [False, True])
def test_a_pool_that_has_ended_leaves_nothing_open(notes, killed):
    """`run` can be called again and again in one process."""
    processes = ProcessPool(SPAWN, 2)
    processes.start()  # the first start also opens what multiprocessing keeps
    processes.close()
    before = open_descriptors()
    pool = ProcessPool(SPAWN, 2)
    pool.start()
    assert pool.perform(call(handlers.note, notes.path)) is None
    pids = [pid_of(child) for child in pool._processes]
    if killed:
        pool.kill()
    pool.close()
    assert open_descriptors() - before == set()
    assert not any(is_running(pid) for pid in pids)


@pytest.mark.parametrize("handler", [handlers.fork_and_return, handlers.fork_and_exit])
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_a_fork_by_a_handler_answers_no_other_job(notes, handler, start):
    """The copy once returned to the main loop and sent the result of the next job."""
    process = ChildProcess(multiprocessing.get_context(start))
    try:
        assert process.perform(call(handler, notes.path)) is None
        for n in range(5):
            assert process.perform(call(handlers.fail, f"{n}")).message == f"{n}"
            assert process.perform(call(handlers.note, notes.path)) is None
    finally:
        process.close(time.monotonic())
    assert notes() == ["parent", *["ran"] * 5]


@pytest.mark.parametrize(
    ("handler", "ended"), [(handlers.note_slowly, False), (handlers.close_everything, True)]
)
def test_waiting_for_a_handler_costs_no_cpu(process, notes, handler, ended):
    """Also if the handler closes all descriptors, the pipe to its consumer included."""
    process.start()
    before = time.process_time()
    with pytest.raises(ProcessEnded) if ended else contextlib.nullcontext():
        process.perform(call(handler, notes.path, 3))
    assert time.process_time() - before < 1


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_crash_is_noticed_if_sigchld_is_ignored(start):
    """A program inherits that from the program that started it."""
    ended = run_program("deaths_with_sigchld_ignored", start)
    report = "the process ended in an unknown way before the handler returned\n"
    assert (ended.stdout, ended.returncode) == (report * 2, 0), ended.stderr


def test_a_large_job_and_a_large_error_pass(process, notes):
    """They are larger than a pipe's buffer."""
    text = "x" * 1_000_000
    assert len(process.perform(call(handlers.fail, text)).message) == 1000


def test_a_kill_ends_handlers_that_ignore_sigterm(notes, wait_for):
    processes = ProcessPool(SPAWN, 2)
    processes.start()
    ended = []

    def work():
        with contextlib.suppress(ProcessEnded):
            processes.perform(call(handlers.note_without_sigterm, notes.path, 60))
        ended.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: notes() == ["started", "started"])
    since = time.monotonic()
    processes.kill()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ended) == 2
    assert max(ended) - since < 30  # they would take 60 s
    with pytest.raises(NotStarted, match="the consumer has stopped"):
        processes.perform(call(handlers.note, notes.path))
    processes.close()


def test_idle_processes_flush_before_they_end(monkeypatch, capfd):
    """The pool waits for them, and for what libraries do at the end of a process."""
    monkeypatch.setattr("faktory_unique.worker.process_pool._DISMISSAL_SECONDS", 30)
    for start in ("fork", "spawn"):  # a fork server writes where it was started
        processes = ProcessPool(multiprocessing.get_context(start), 2)
        processes.start()
        assert processes.perform(call(handlers.say, start)) is None
        processes.kill()
        processes.close()
    assert capfd.readouterr().out.split() == ["fork", "spawn"]


class Dying:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (7,)


def test_a_job_that_no_process_can_read_is_not_started(process, notes):
    with pytest.raises(NotStarted, match="3 processes ended before they had read the job"):
        process.perform(call(handlers.note, notes.path, Dying()))
    assert process.perform(call(handlers.note, notes.path)) is None


def test_a_job_without_a_process_is_requeued(
    producer, unique, working, wait_for, notes, sizes, monkeypatch
):
    """No retry is spent if the machine is short of processes or memory."""

    def fork(_self):
        raise BlockingIOError("Resource temporarily unavailable")

    with working(unique, concurrency=1):
        producer.push(Job(jobtype="Unique.note", args=[notes.path]))
        wait_for(lambda: notes() == ["ran"])
        monkeypatch.setattr(ChildProcess, "start", fork)
        assert producer.push(Job(jobtype="Unique.note", args=[notes.path, "again"], retry=0))
        wait_for(lambda: sizes("scheduled") == 1)
    assert (sizes("working"), notes()) == (0, ["ran"])


def test_a_sigterm_to_the_group_leaves_jobs_their_grace_period(
    producer, unique, working, wait_for, notes, locks
):
    """systemd sends one, and `docker stop` to the child of a shell."""
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 1]))
    with working(unique) as consumer:
        wait_for(lambda: notes() == ["started"])
        for process in consumer._current_run.pool._processes:
            os.kill(pid_of(process), signal.SIGTERM)
            os.kill(pid_of(process), signal.SIGINT)
        wait_for(lambda: notes() == ["started", "ended"])
        wait_for(lambda: locks() == {})


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_a_consumer_that_is_killed_leaves_no_process_behind(
    faktory_url, producer, notes, wait_for, context
):
    """A process that has a job ends once the job is done."""
    # A queue of its own: the FETCH of a killed consumer takes one more job, which is lost.
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 1], queue=context))
    worker = start_program("worker_printing_pids", faktory_url, context)
    pids = json.loads(worker.stdout.readline())
    wait_for(lambda: notes() == ["started"])
    worker.kill()
    worker.wait(PATIENCE)
    worker.stdout.close()
    assert any(is_running(pid) for pid in pids)
    wait_for(lambda: not any(is_running(pid) for pid in pids))
    assert notes() == ["started", "ended"]


def test_hundreds_of_signals_cause_no_deadlock(faktory_url):
    """An Event would: its `set` waits for its own lock in a handler that interrupted it."""
    worker = start_program("worker_printing_pids", faktory_url, "spawn")
    worker.stdout.readline()
    for _ in range(500):
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_consumer_in_a_daemon_thread_ends_with_the_main_thread(
    producer, faktory_url, notes, sizes, start
):
    """Its job is requeued."""
    producer.push(Job(jobtype="Unique.note_slowly", args=[notes.path, 60], queue=start))
    ended = run_program("worker_in_daemon_thread", faktory_url, start, notes.path)
    assert ended.returncode == 0, ended.stderr
    assert notes() == ["started"]
    assert (sizes("working"), sizes("enqueued")) == (0, 1)


class SlowFetch(Middleware):
    """Waits in fetch until the test lets it continue."""

    def __init__(self):
        self.in_fetch = threading.Event()
        self.proceed = threading.Event()

    def fetch(self, job, call_next):
        self.in_fetch.set()
        assert self.proceed.wait(PATIENCE)
        return call_next(job)


def test_a_job_that_starts_after_its_run_has_ended_is_requeued(
    producer, unique, working, wait_for, note_job, notes, sizes, faktory_url
):
    """It does not fail, and takes no slot of a later run of the same consumer."""
    slow = SlowFetch()
    producer.push(note_job("late", retry=0))
    with working(unique, slow, grace_period=0.2, concurrency=1) as consumer:
        assert slow.in_fetch.wait(PATIENCE)
        consumer.stop()
        wait_for(consumer._run_ended.is_set)
        again = threading.Thread(target=consumer.run)
        again.start()
        slow.proceed.set()
        wait_for(lambda: notes() == ["late"])
        wait_for(lambda: sizes("working") == 0)
        consumer.stop()
        again.join(PATIENCE)
    assert sizes("enqueued") == 0


def test_no_job_thread_outlives_its_run(working, unique, producer, note_job, wait_for, notes):
    with working(unique, concurrency=2):
        producer.push_bulk([note_job(str(n)) for n in range(6)])
        wait_for(lambda: len(notes()) == 6)
    wait_for(lambda: "faktory-job" not in {thread.name for thread in threading.enumerate()})


def test_a_job_without_a_thread_is_requeued(
    producer, unique, working, wait_for, note_job, notes, sizes, monkeypatch
):
    """Its slot is free for the next job."""
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "faktory-job":
            raise RuntimeError("can't start new thread")
        start(thread)

    with working(unique, concurrency=1):
        monkeypatch.setattr(threading.Thread, "start", refuse)
        producer.push(note_job("refused", retry=0))
        wait_for(lambda: sizes("scheduled") == 1)
        monkeypatch.undo()
        producer.push(note_job("next"))
        wait_for(lambda: "next" in notes())


def test_a_fetch_without_a_reply_delays_a_stop_by_seconds_only(
    new_faktory, unique, wait_for, notes
):
    """Its connection may be half-open. The grace period begins at the stop."""
    server = new_faktory()
    with Client(server.url, role="consumer", worker_id="held-up-worker") as client:
        consumer = Consumer(client, middleware=[unique], context=SPAWN, grace_period=1)
        thread = threading.Thread(target=consumer.run)
        thread.start()
        wait_for(
            lambda: (
                [shared.stream for shared in client._fetch_commands.connection._streams.values()]
                not in ([], [None])
            )
        )
        server.pause()
        since = time.monotonic()
        consumer.stop()
        thread.join(PATIENCE)
        assert time.monotonic() - since < 25
        server.resume()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_consumer_runs_in_a_forked_handler(client, faktory_url, note_job, notes, wait_for):
    """The handler's process inherits the mutex of its own start, acquired."""
    Producer(client).push(note_job(queue="inner"))
    process = ChildProcess(multiprocessing.get_context("fork"))
    job = {"jid": "jid-00000001", "jobtype": "Outer", "args": [notes.path, faktory_url]}
    results = []
    call = HandlerCall((), handlers.consume, job)
    thread = threading.Thread(target=lambda: results.append(process.perform(call)))
    thread.start()
    try:
        wait_for(lambda: notes() == ["ran"])
        wait_for(lambda: results == [None])
    finally:
        process.kill()
        with contextlib.suppress(ProcessEnded):
            thread.join(20)
        process.close(0)
