"""A whole run: servers up, faults, quiet, accounts."""

from __future__ import annotations

import contextlib
import sys
import time

import redis

from scripts.servers import HOST, FaktoryServer, RedisServer
from tests.chaos import journal as journals
from tests.chaos.accounts import Accounts
from tests.chaos.beside import is_tombstone
from tests.chaos.crew import Crew
from tests.chaos.facts import Facts
from tests.chaos.faults import Faults
from tests.chaos.locks import Lock, orphans_at_once, waited_for
from tests.chaos.plan import plan
from tests.chaos.proxy import Proxy
from tests.chaos.quiet import NotQuietError, wait_until_quiet
from tests.chaos.storage import stored

_WARMING_UP = 2.0
_TENDING = 0.1
_PROGRESS = 3.0


def say(text):
    """Writes a line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Progress:
    """Says every few seconds how a run gets on."""

    def __init__(self, folder):
        self._reader = journals.Reader(folder)
        self._since = time.monotonic()
        self._next = 0.0
        self._counts = dict.fromkeys(("pushes", "pushed", "executed"), 0)

    def say(self, told):
        """Says it, if it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _PROGRESS
        for line in self._reader.new():
            self._counts["pushes"] += line["what"] == "pushing"
            self._counts["pushed"] += line["what"] == "result" and line["status"] == "pushed"
            self._counts["executed"] += line["what"] == "end" and line["outcome"] == "done"
        counts = " ".join(f"{name}={number}" for name, number in self._counts.items())
        say(f"{now - self._since:6.1f} s  {counts}  {told}")


def run(seconds, seed, folder):
    """A run in a folder; whether all is as it must be."""
    journal = journals.Journal(folder / "controller.jsonl", "controller")
    progress = Progress(folder)
    with contextlib.ExitStack() as stack:
        servers = {
            # One that keeps its locks over a restart: what is lost then is nobody's to explain.
            "redis": stack.enter_context(
                RedisServer(folder / "redis", extra=("--appendonly", "yes"))
            ),
            "faktory": stack.enter_context(FaktoryServer(folder / "faktory")),
        }
        proxies = {n: stack.enter_context(Proxy(s.port)) for n, s in servers.items()}
        addresses = {
            "FAKTORY_URL": f"tcp://{HOST}:{proxies['faktory'].port}",
            "FAKTORY_UNIQUE_STORE": f"redis://{HOST}:{proxies['redis'].port}/0",
        }
        crew = stack.enter_context(contextlib.closing(Crew(folder, seed, addresses, journal)))
        faults = Faults(servers, proxies, crew, journal)
        stack.callback(faults.close)

        _rage(plan(seconds, seed), seconds, crew, faults, progress)
        faults.end()
        journal.note("calm")
        crew.tend("producer", "worker")
        crew.dismiss("producer")
        findings = crew.findings
        try:
            _calm(servers["faktory"], crew, progress)
        except NotQuietError as error:
            findings.append(f"not quiet: {error}")
        left = {job.owner for job in stored(servers["faktory"])}
        crew.dismiss("worker")
        facts = Facts(journals.read(folder))
        if not facts.works:
            findings.append("nothing was pushed")
        findings += _errors_logged(folder, facts)
        orphans = _locks_left(servers["redis"].url, facts, progress)
        return _report(Accounts(facts, left), orphans, faults.number, findings)


def _rage(faults_planned, seconds, crew, faults, progress):
    """Faults, while producers push and workers work."""
    crew.tend("producer", "worker")
    time.sleep(_WARMING_UP)
    coming = list(faults_planned)
    since = time.monotonic()
    while (now := time.monotonic() - since) < seconds:
        while coming and coming[0].at <= now:
            faults.begin(coming.pop(0))
        crew.tend("producer", "worker")
        progress.say(f"faults={faults.number}, the last: {faults.last}")
        time.sleep(_TENDING)


def _calm(faktory, crew, progress):
    """Workers alone, until the server has nothing left to do."""

    def report(left, bound):
        crew.tend("worker")
        still = " ".join(f"{name}={number}" for name, number in left.items())
        progress.say(f"to do, within {bound:.0f} s: {still}")

    took = wait_until_quiet(faktory, report)
    say(f"quiet after {took:.0f} s")


def _locks_left(url, facts, progress):
    """The orphans among the locks that are left; those that may be there are waited for."""
    with redis.Redis.from_url(url, decode_responses=True) as store:
        first = _locks(store)
        now = time.monotonic()
        orphans = orphans_at_once(first, facts, now)
        waiting = waited_for(first, facts, now)
        for lock, why in waiting:
            say(f"a lock is left for {lock.ttl} s: {lock.key} of {lock.value}: {why}")
        bound = max((lock.ttl for lock, _ in waiting), default=0) + 2
        until = time.monotonic() + bound
        keys = {lock.key for lock, _ in waiting}
        while keys and time.monotonic() < until and store.exists(*keys):
            progress.say(f"locks to run out within {bound} s: {store.exists(*keys)}")
            time.sleep(_TENDING)
        known = {lock.key for lock, _ in orphans}
        left = [lock for lock in _locks(store) if not is_tombstone(lock)]
        outlived = [(lock, "it outlived its time") for lock in left]
        return orphans + [each for each in outlived if each[0].key not in known]


def _locks(store):
    return [Lock(key, store.get(key) or "", store.ttl(key)) for key in store.scan_iter()]


def _errors_logged(folder, facts):
    """What a process has logged as an error: its first, of each that was not killed."""
    for log in sorted(folder.glob("*-*.log")):
        said = log.read_text(errors="replace").splitlines()
        errors = [line for line in said if " ERROR " in line or line.startswith("Traceback")]
        if errors and facts.ends.get(log.stem, (0, None))[1] != "kill":
            yield f"{log.stem} logged an error: {errors[0]}"


def _report(accounts, orphans, faults, findings):
    for finding in findings:
        say(f"finding: {finding}")
    for line in accounts.cases():
        say(line)
    for lock, why in orphans:
        say(f"orphan: {lock.key} of {lock.value} for {lock.ttl} s: {why}")
    say(accounts.last_line(faults, len(orphans), len(findings)))
    return accounts.good and not orphans and not findings
