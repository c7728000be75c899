"""Producer and worker processes of a run: started, killed, stopped, terminated, started again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.chaos.journal import JOURNAL_VARIABLE, NAME_VARIABLE
from tests.chaos.settings import STOP_TIMEOUT, UNGUARDED_PRODUCER

_REPOSITORY = Path(__file__).resolve().parents[2]


class Process:
    """A producer or worker process. It leads a process group, in which its handlers run.

    It is reaped only at the end of the run, so that no other group gets its number.

    Args:
        name: its name, such as `worker-1.3`.
        popen: the started process.

    Attributes:
        is_stopped: whether it is stopped by SIGSTOP.
        is_ending: whether it got SIGTERM or SIGKILL.
    """

    def __init__(self, name, popen):
        self.name = name
        self.popen = popen
        self.is_stopped = False
        self.is_ending = False

    @property
    def has_exited(self):
        """Whether it has exited, for whatever reason."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.popen.pid, options) is not None

    def send_signal(self, number, *, group=False):
        """Send a signal to the process, with `group` to its handlers too."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.popen.pid, number)

    def wait(self, seconds):
        """Wait for the process to exit; return whether it did within these seconds."""
        deadline = time.monotonic() + seconds
        while not self.has_exited and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.has_exited


class Fleet:
    """All producer and worker processes. Safe over threads.

    Each process has a slot: its role and a number. A process that exits is replaced by a new one.

    Args:
        folder: the folder for journals and logs.
        workload: the numbers of processes.
        seed: the run's seed; each process derives its own from it.
        variables: `FAKTORY_URL`, `FAKTORY_UNIQUE_STORE` and others for each process.
        journal: the run's journal, for the start and end of each process.

    Attributes:
        findings: descriptions of forbidden behaviour of a process.
    """

    def __init__(self, folder, workload, seed, variables, journal):
        self._folder = folder
        self._seed = seed
        self._variables = variables
        self._journal = journal
        self._mutex = threading.RLock()
        self._resumed = threading.Event()
        self._slots = [("producer", n) for n in range(workload.producers)]
        self._slots += [("worker", n) for n in range(workload.workers)]
        self._running = {}
        self._start_after = dict.fromkeys(self._slots, 0.0)
        self._exited = []
        self._starts = dict.fromkeys(self._slots, 0)
        self._rng = random.Random(f"moments:{seed}")
        self.findings = []

    def start_missing(self, *roles):
        """Start the missing processes with these roles, a moment after they exited."""
        with self._mutex:
            for slot in self._slots:
                process = self._running.get(slot)
                if process is not None and process.has_exited:
                    self._remove(slot, process)
                is_due = slot not in self._running and time.monotonic() >= self._start_after[slot]
                if is_due and slot[0] in roles:
                    self._running[slot] = self._start(slot)

    def names(self, role):
        """Return the names of the running processes with a role."""
        with self._mutex:
            return {process.name for slot, process in self._running.items() if slot[0] == role}

    def kill(self, role, index, *, group):
        """Send SIGKILL to a process, with `group` to its handlers too.

        Args:
            role: "producer" or "worker".
            index: which of the processes with this role, modulo their number.
            group: whether its handlers get the signal too.

        Returns:
            Its name, or None if there is no such process.
        """
        with self._mutex:
            process = self._choose(role, index, among_stopped=True)
            if process is None:
                return None
            process.is_ending = True
            self._journal.write("ended", process=process.name, how="kill")
            process.send_signal(signal.SIGKILL, group=group)
        return process.name

    def stop(self, role, index, seconds, *, group):
        """Send SIGSTOP to a process, and SIGCONT after some seconds; see `kill`."""
        with self._mutex:
            process = self._choose(role, index)
            if process is None:
                return None
            process.is_stopped = True
            process.send_signal(signal.SIGSTOP, group=group)
        self._resumed.wait(seconds)
        with self._mutex:
            process.is_stopped = False
            process.send_signal(signal.SIGCONT, group=group)
        return process.name

    def terminate(self, role, index):
        """Send SIGTERM to a process, and wait until it exits, which it must in time; see `kill`."""
        with self._mutex:
            process = self._choose(role, index)
            if process is None:
                return None
            self._send_sigterm(process)
        self._await_exit(process)
        return process.name

    def resume(self):
        """End all stops."""
        self._resumed.set()

    def dismiss(self, role):
        """Send SIGTERM to all processes with a role, and wait until they exit."""
        with self._mutex:
            processes = [process for slot, process in self._running.items() if slot[0] == role]
            for process in processes:
                if not process.has_exited:
                    self._send_sigterm(process)
        for process in processes:
            self._await_exit(process)
        self.start_missing()

    def close(self):
        """Kill and reap all processes and their handlers."""
        self.resume()
        with self._mutex:
            processes = [*self._exited, *self._running.values()]
            self._running.clear()
            self._exited.clear()
        for process in processes:
            process.send_signal(signal.SIGKILL, group=True)
            process.popen.wait()

    def _choose(self, role, index, *, among_stopped=False):
        candidates = [
            process
            for slot in self._slots
            if slot[0] == role and (process := self._running.get(slot)) is not None
            if not (process.has_exited or process.is_ending)
            if among_stopped or not process.is_stopped
        ]
        return candidates[index % len(candidates)] if candidates else None

    def _start(self, slot):
        role, number = slot
        self._starts[slot] += 1
        name = f"{role}-{number}.{self._starts[slot]}"
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("FAKTORY_")}
        own = {
            JOURNAL_VARIABLE: str(self._folder / f"{name}.jsonl"),
            NAME_VARIABLE: name,
            "CHAOS_SEED": f"{self._seed}:{name}",
            "CHAOS_ON_STORE_ERROR": "push" if number == UNGUARDED_PRODUCER else "raise",
            "CHAOS_CONTEXT": "spawn" if number % 2 else "fork",
        }
        with (self._folder / f"{name}.log").open("ab") as log:
            popen = subprocess.Popen(
                [sys.executable, "-m", f"tests.chaos.{role}"],
                cwd=_REPOSITORY,
                env={**inherited, **self._variables, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._journal.write("started", process=name)
        return Process(name, popen)

    def _remove(self, slot, process):
        if not process.is_ending:
            self._journal.write("ended", process=process.name, how="itself")
            self.findings.append(f"{process.name} ended by itself")
        del self._running[slot]
        self._exited.append(process)
        self._start_after[slot] = time.monotonic() + self._rng.uniform(0.2, 1.2)

    def _send_sigterm(self, process):
        process.is_ending = True
        self._journal.write("ended", process=process.name, how="terminate")
        process.send_signal(signal.SIGTERM)

    def _await_exit(self, process):
        since = time.monotonic()
        if not process.wait(STOP_TIMEOUT):
            self.findings.append(f"{process.name} had not ended {STOP_TIMEOUT} s after SIGTERM")
            self._journal.write("ended", process=process.name, how="kill")
            process.send_signal(signal.SIGKILL, group=True)
            process.wait(STOP_TIMEOUT)
        self._journal.write("exited", process=process.name, after=time.monotonic() - since)
