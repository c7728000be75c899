"""Chaos run: start servers and processes, inject faults, drain, then audit journals and locks."""

from __future__ import annotations

import contextlib
import sys
import time

import redis

from scripts.servers import HOST, FaktoryServer, RedisServer
from tests.chaos.audit import Audit
from tests.chaos.bugs import BUG_VARIABLE
from tests.chaos.drain import NotDrainedError, wait_until_drained
from tests.chaos.fault_injector import FaultInjector
from tests.chaos.history import History
from tests.chaos.journal import Journal, JournalReader, read_journals
from tests.chaos.live_audit import DamageError, LiveAudit
from tests.chaos.logs import logged_errors
from tests.chaos.orphans import Lock, find_expiring, find_orphans
from tests.chaos.processes import Fleet
from tests.chaos.proxy import Proxy
from tests.chaos.replacement import is_tombstone
from tests.chaos.storage import StorageLog, stored_jobs
from tests.chaos.trials import TRIAL_VARIABLE
from tests.chaos.wire import faktory_commands, redis_commands

# Seconds for which faults wait for the workers, whose handler processes start slowly if the machine
# is busy.
_WARM_UP_SECONDS = 30.0
_READERS = {"faktory": faktory_commands, "redis": redis_commands}
_POLL_SECONDS = 0.1
_PROGRESS_SECONDS = 3.0


def print_line(text):
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Progress:
    """Prints the progress of a run every few seconds."""

    def __init__(self, folder):
        self._reader = JournalReader(folder)
        self._since = time.monotonic()
        self._next = 0.0
        self._counts = dict.fromkeys(("pushes", "pushed", "executed"), 0)

    def print(self, state):
        """Print the counts and the state, unless that was done less than three seconds ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _PROGRESS_SECONDS
        for entry in self._reader.read_new():
            self._counts["pushes"] += entry["type"] == "pushing"
            self._counts["pushed"] += entry["type"] == "result" and entry["status"] == "pushed"
            self._counts["executed"] += entry["type"] == "end" and entry["outcome"] == "done"
        counts = " ".join(f"{name}={number}" for name, number in self._counts.items())
        print_line(f"{now - self._since:6.1f} s  {counts}  {state}")


def run(trial, seed, folder, *, name="", bug="", stops_early=False):
    """Run in a folder, and return whether the audit passed.

    Args:
        trial: the workload, the faults and their duration.
        seed: of all random draws.
        folder: for journals, logs and data.
        name: of the trial; empty for the workload of `make chaos`.
        bug: the name of the bug that is planted; empty for none.
        stops_early: whether the run ends as soon as the audit would fail.
    """
    journal = Journal(folder / "controller.jsonl", "controller")
    progress = Progress(folder)
    live_audit = LiveAudit(folder, enabled=stops_early)
    with contextlib.ExitStack() as stack:
        # This Redis keeps its locks over a restart: no restart may explain a lost lock.
        durable = RedisServer(folder / "redis", extra=("--appendonly", "yes"))
        servers = {
            "redis": stack.enter_context(durable),
            "faktory": stack.enter_context(FaktoryServer(folder / "faktory")),
        }
        proxies = {n: stack.enter_context(Proxy(s.port, _READERS[n])) for n, s in servers.items()}
        variables = {
            "FAKTORY_URL": f"tcp://{HOST}:{proxies['faktory'].port}",
            "FAKTORY_UNIQUE_STORE": f"redis://{HOST}:{proxies['redis'].port}/0",
            TRIAL_VARIABLE: name,
            BUG_VARIABLE: bug,
        }
        fleet = Fleet(folder, trial.workload, seed, variables, journal)
        stack.enter_context(contextlib.closing(fleet))
        storage_log = StorageLog(servers["faktory"], journal)
        storage_log.follow()
        injector = FaultInjector(servers, proxies, fleet, journal, storage_log)
        stack.callback(injector.close)

        def on_progress(state):
            live_audit.check()
            progress.print(state)

        try:
            if trial.warms_up:
                _warm_up(folder, fleet, on_progress)
            _inject_faults(trial, fleet, injector, on_progress)
            injector.finish()
            journal.write("faults_ended")
            fleet.start_missing("producer", "worker")
            fleet.dismiss("producer")
            findings = fleet.findings
            try:
                _drain(servers["faktory"], fleet, on_progress)
            except NotDrainedError as error:
                findings.append(f"not drained: {error}")
        except DamageError as damage:
            return _print_audit(damage.audit, [], injector.count, [])
        # A dead job is never run: it is no pending one.
        left = [job for job in stored_jobs(servers["faktory"]) if job.place != "dead"]
        pending_owners = {job.owner for job in left}
        fleet.dismiss("worker")
        history = History(read_journals(folder))
        if not history.jobs:
            findings.append("no job was pushed")
        findings += logged_errors(folder, history)
        audit = Audit(history, pending_owners)
        waits = audit.passed and not findings
        orphans = _find_orphans(servers["redis"].url, history, progress, waits=waits)
        return _print_audit(audit, orphans, injector.count, findings)


def _warm_up(folder, fleet, on_progress):
    """Start all processes, and wait until each worker has run a job."""
    fleet.start_missing("producer", "worker")
    reader, idle = JournalReader(folder), fleet.names("worker")
    since = time.monotonic()
    while idle and time.monotonic() - since < _WARM_UP_SECONDS:
        fleet.start_missing("producer", "worker")
        idle -= {entry["writer"] for entry in reader.read_new() if entry["type"] == "end"}
        on_progress("starting")
        time.sleep(_POLL_SECONDS)


def _inject_faults(trial, fleet, injector, on_progress):
    """Inject the planned faults while producers push and workers run jobs."""
    planned = list(trial.faults)
    since = time.monotonic()
    while (now := time.monotonic() - since) < trial.seconds:
        while planned and planned[0].at <= now:
            injector.inject(planned.pop(0))
        fleet.start_missing("producer", "worker")
        on_progress(f"faults={injector.count}, the last: {injector.last}")
        time.sleep(_POLL_SECONDS)


def _drain(faktory, fleet, on_progress):
    """Let the workers run all jobs that are left."""

    def on_sizes(sizes, bound):
        fleet.start_missing("worker")
        left = " ".join(f"{name}={number}" for name, number in sizes.items())
        on_progress(f"draining, at most {bound:.0f} s: {left}")

    seconds = wait_until_drained(faktory, on_sizes)
    print_line(f"drained after {seconds:.0f} s")


def _find_orphans(url, history, progress, *, waits):
    """Return the orphans among the locks that are left, after waiting for the others to expire.

    If the run has failed anyway, or there are orphans, it does not wait.
    """
    with redis.Redis.from_url(url, decode_responses=True) as store:
        locks = _read_locks(store)
        now = time.monotonic()
        orphans = find_orphans(locks, history, now)
        if orphans or not waits:
            return orphans
        expiring = find_expiring(locks, history, now)
        for lock, why in expiring:
            print_line(f"lock left for {lock.ttl} s: {lock.key} of {lock.value}: {why}")
        bound = max((lock.ttl for lock, _ in expiring), default=0) + 2
        until = time.monotonic() + bound
        keys = {lock.key for lock, _ in expiring}
        while keys and time.monotonic() < until and store.exists(*keys):
            progress.print(f"locks to expire, at most {bound} s: {store.exists(*keys)}")
            time.sleep(_POLL_SECONDS)
        left = [lock for lock in _read_locks(store) if not is_tombstone(lock)]
        return [(lock, "it did not expire in time") for lock in left]


def _read_locks(store):
    return [Lock(key, store.get(key) or "", store.ttl(key)) for key in store.scan_iter()]


def _print_audit(audit, orphans, faults, findings):
    """Print the audit, and return whether it passed."""
    for finding in findings:
        print_line(f"finding: {finding}")
    for line in audit.lines():
        print_line(line)
    for lock, problem in orphans:
        print_line(f"orphan: {lock.key} of {lock.value} for {lock.ttl} s: {problem}")
    print_line(audit.last_line(faults, len(orphans), len(findings)))
    return audit.passed and not orphans and not findings
