"""The processes of a run: started, killed, stopped for a while, ended, and started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.chaos.journal import JOURNAL, WHO
from tests.chaos.member import Member
from tests.chaos.settings import ENDING, PRODUCERS, WORKERS

_REPOSITORY = Path(__file__).resolve().parents[2]


class Crew:
    """All producers and workers. Safe over threads.

    Args:
        folder: for their journals and logs.
        seed: of the run; each process has one of its own by it.
        addresses: `FAKTORY_URL` and `FAKTORY_UNIQUE_STORE`.
        journal: of the run, told of each process's start and end.

    Attributes:
        findings: what a process did that none may do.
    """

    def __init__(self, folder, seed, addresses, journal):
        self._folder = folder
        self._seed = seed
        self._addresses = addresses
        self._journal = journal
        self._mutex = threading.RLock()
        self._over = threading.Event()
        self._places = [("producer", n) for n in range(PRODUCERS)]
        self._places += [("worker", n) for n in range(WORKERS)]
        self._present = {}
        self._due = dict.fromkeys(self._places, 0.0)
        self._past = []
        self._starts = dict.fromkeys(self._places, 0)
        self._moments = random.Random(f"moments:{seed}")
        self.findings = []

    def tend(self, *roles):
        """Starts the processes of these roles that are missing, a moment after they ended."""
        with self._mutex:
            for place in self._places:
                member = self._present.get(place)
                if member is not None and member.has_ended:
                    self._bury(place, member)
                is_due = place not in self._present and time.monotonic() >= self._due[place]
                if is_due and place[0] in roles:
                    self._present[place] = self._start(place)

    def kill(self, role, which, *, group):
        """SIGKILL, to one of a role alone or with its handlers; its name, None if none is there."""
        with self._mutex:
            member = self._choose(role, which, among_stopped=True)
            if member is None:
                return None
            member.is_told = True
            self._journal.note("ended", process=member.name, how="kill")
            member.signal(signal.SIGKILL, group=group)
        return member.name

    def stop(self, role, which, seconds, *, group):
        """SIGSTOP, and after some seconds SIGCONT; as with `kill`."""
        with self._mutex:
            member = self._choose(role, which)
            if member is None:
                return None
            member.is_stopped = True
            member.signal(signal.SIGSTOP, group=group)
        self._over.wait(seconds)
        with self._mutex:
            member.is_stopped = False
            member.signal(signal.SIGCONT, group=group)
        return member.name

    def terminate(self, role, which):
        """SIGTERM to one; it must end in time. Its name, None if none is there."""
        with self._mutex:
            member = self._choose(role, which)
            if member is None:
                return None
            self._tell_to_end(member)
        self._see_it_end(member)
        return member.name

    def resume(self):
        """Ends all stops."""
        self._over.set()

    def dismiss(self, role):
        """SIGTERM to all of a role; each must end in time."""
        with self._mutex:
            members = [m for place, m in self._present.items() if place[0] == role]
            for member in members:
                if not member.has_ended:
                    self._tell_to_end(member)
        for member in members:
            self._see_it_end(member)
        self.tend()

    def close(self):
        """Ends whatever is left of all of them, and of their handlers."""
        self.resume()
        with self._mutex:
            everybody = [*self._past, *self._present.values()]
            self._present.clear()
            self._past.clear()
        for member in everybody:
            member.signal(signal.SIGKILL, group=True)
            member.process.wait()

    def _choose(self, role, which, *, among_stopped=False):
        there = [
            member
            for place in self._places
            if place[0] == role and (member := self._present.get(place)) is not None
            if not (member.has_ended or member.is_told)
            if among_stopped or not member.is_stopped
        ]
        return there[which % len(there)] if there else None

    def _start(self, place):
        role, number = place
        self._starts[place] += 1
        name = f"{role}-{number}.{self._starts[place]}"
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("FAKTORY_")}
        own = {
            JOURNAL: str(self._folder / f"{name}.jsonl"),
            WHO: name,
            "CHAOS_SEED": f"{self._seed}:{name}",
            "CHAOS_ON_STORE_ERROR": "raise" if number else "push",
            "CHAOS_CONTEXT": "spawn" if number % 2 else "fork",
        }
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"tests.chaos.{role}"],
                cwd=_REPOSITORY,
                env={**inherited, **self._addresses, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._journal.note("started", process=name)
        return Member(name, process)

    def _bury(self, place, member):
        if not member.is_told:
            self._journal.note("ended", process=member.name, how="itself")
            self.findings.append(f"{member.name} ended by itself")
        del self._present[place]
        self._past.append(member)
        self._due[place] = time.monotonic() + self._moments.uniform(0.2, 1.2)

    def _tell_to_end(self, member):
        member.is_told = True
        self._journal.note("ended", process=member.name, how="terminate")
        member.signal(signal.SIGTERM)

    def _see_it_end(self, member):
        since = time.monotonic()
        if not member.wait(ENDING):
            self.findings.append(f"{member.name} had not ended {ENDING} s after SIGTERM")
            self._journal.note("ended", process=member.name, how="kill")
            member.signal(signal.SIGKILL, group=True)
            member.wait(ENDING)
        self._journal.note("gone", process=member.name, after=time.monotonic() - since)
