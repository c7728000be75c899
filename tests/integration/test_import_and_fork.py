"""Import in threads, and fork between pushes, as web servers' workers do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

from faktory_unique import Client, Policy, Producer, Unique
from tests.patience import PATIENCE


def run(script, *args):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *args],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_an_import_in_a_thread_keeps_the_sigterm_handler():
    """`import pyfaktory` fails in a thread, and replaces the handler (facts §1)."""
    ended = run(
        """
        import signal, threading

        mine = lambda *_: None
        signal.signal(signal.SIGTERM, mine)
        failed = []

        def import_it():
            try:
                import faktory_unique
                faktory_unique.Consumer
            except BaseException as exc:
                failed.append(exc)

        thread = threading.Thread(target=import_it)
        thread.start()
        thread.join()
        assert not failed, failed
        assert signal.getsignal(signal.SIGTERM) is mine
        import pebble
        assert pebble.sighandler.__module__ == "pebble.decorators"
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_pyfaktory_imported_before_is_used_unchanged():
    ended = run(
        """
        import pyfaktory, signal
        theirs = signal.getsignal(signal.SIGTERM)
        import faktory_unique
        assert faktory_unique.Job is pyfaktory.Job
        assert issubclass(faktory_unique.Consumer, pyfaktory.Consumer)
        assert signal.getsignal(signal.SIGTERM) is theirs
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_import_needs_neither_typer_nor_rich():
    """They belong to the command line, an extra."""
    ended = run(
        """
        import sys
        sys.modules.update(typer=None, rich=None)
        import faktory_unique
        from faktory_unique.__main__ import main
        try:
            main()
        except SystemExit as exc:
            assert "pip install 'faktory-unique[cli]'" in str(exc.code), exc.code
        else:
            raise AssertionError
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_fork_between_two_pushes_works(faktory_url, redis_url):
    """Parent and child push at the same time, each over connections of its own."""
    ended = run(
        """
        import os, sys
        from faktory_unique import Client, Job, Policy, Producer, Unique

        unique = Unique(store=sys.argv[2], default=Policy())
        client = Client(sys.argv[1])
        client.connect()
        producer = Producer(client, middleware=[unique])
        assert producer.push(Job(jobtype="Fork", args=["before"]))
        pid = os.fork()
        who = "child" if pid == 0 else "parent"
        ok = all(
            producer.push(job) and producer.push(job).jid == job.jid
            for job in (Job(jobtype="Fork", args=[who, n]) for n in range(200))
        )
        ok = ok and not producer.push(Job(jobtype="Fork", args=["before"]))
        if pid == 0:
            os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert ok
        assert producer.push(Job(jobtype="Fork", args=["after"]))
        client.disconnect()
        unique.close()
        """,
        faktory_url,
        redis_url,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    with Client(faktory_url) as client:
        assert client.info()["faktory"]["total_enqueued"] == 402


def test_a_producer_starts_no_thread(faktory_url, redis_url, note_job):
    before = threading.active_count()
    with Client(faktory_url) as client, Unique(store=redis_url, default=Policy()) as unique:
        Producer(client, middleware=[unique]).push(note_job())
        assert threading.active_count() == before
