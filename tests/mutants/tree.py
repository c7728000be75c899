"""`Tree`: a copy of the repository on disk, in which tests are run on one mutant at a time.

Processes that the tests start import the mutant as well, since PYTHONPATH is this copy.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from enum import Enum
from itertools import count
from pathlib import Path

from tests.mutants.chosen import CHOSEN
from tests.mutants.selection import ROOT, clean_environment

_LINKED = (".servers", ".venv", ".peers", "tests/vectors/node/node_modules")
_OPTIONS = (
    *("-x", "-q", "-p", "tests.mutants.chosen", "-p", "no:cacheprovider", "-o", "timeout=0"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # the zygote has imported plugins
)

# Time for the imports, which a mutant can hang too.
_MOST_SECONDS_BEFORE_TESTS = 120.0

# A compiled file is valid for a source of the same second. Each source has a second of its own.
_seconds = count(1_000_000_000)


class Outcome(Enum):
    """The end of the tests."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"  # pytest failed elsewhere than in a test, such as at an import
    TIMED_OUT = "timed out"


class Tree:
    """A copy of the repository, without what Git ignores, in a temporary folder."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self.root = self._folder / "tree"
        self._chosen = self._folder / "chosen.json"
        self._closed = False
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
            if (ROOT / name).is_file():
                copied = self.root / name
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copied)
        for name in _LINKED:
            if (ROOT / name).exists():
                (self.root / name).symlink_to(ROOT / name)
        self._zygote = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.mutants.zygote"],
            cwd=self.root,
            env={
                **clean_environment(),
                CHOSEN: str(self._chosen),
                "PYTHONPATH": str(self.root),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()
        self._zygote.stdin.close()
        self._zygote.stdout.close()
        self._zygote.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self):
        """End the tests, and let no others start."""
        self._closed = True
        self._end_processes()

    @contextlib.contextmanager
    def mutated(self, mutant):
        """Contain the mutant during the block."""
        self._write(mutant.path, mutant.source)
        try:
            yield
        finally:
            self._write(mutant.path, mutant.original)

    def run(self, limits):
        """Run tests until one fails. Return the outcome, and the names of the tests that failed.

        Args:
            limits: the name of each test, in the order in which they are to run, and the seconds
                after which it is ended.
        """
        if self._closed:
            raise RuntimeError("the run has ended")
        failed, running = (self._chosen.with_suffix(s) for s in (".failed", ".running"))
        failed.unlink(missing_ok=True)
        running.write_text("")
        self._chosen.write_text(json.dumps([*limits]))
        files = dict.fromkeys(name.partition("::")[0] for name in limits)
        arguments = [*_OPTIONS, f"--basetemp={self._folder}/t", *files]
        print(json.dumps(arguments), file=self._zygote.stdin)
        is_in_time = self._wait(running, {"": _MOST_SECONDS_BEFORE_TESTS, **limits})
        self._end_processes()
        code = int(self._zygote.stdout.readline())
        if not is_in_time:
            return Outcome.TIMED_OUT, []
        names = json.loads(failed.read_text()) if failed.exists() else []
        if code in {0, 5}:  # 5: the mutant has changed the names of all chosen tests
            return Outcome.PASSED, []
        return (Outcome.FAILED if names else Outcome.BROKEN), names

    def _wait(self, running, limits):
        """Wait for the end of the tests. Return False as soon as one has exceeded its limit."""
        name, started = "", time.monotonic()
        while not select.select([self._zygote.stdout], [], [], 0.2)[0]:
            if (following := running.read_text()) not in {name, ""}:
                name, started = following, time.monotonic()
            if time.monotonic() - started > limits[name]:
                return False
        return True

    def _write(self, path, source):
        file = self.root / path
        file.write_text(source, encoding="utf-8")
        second = next(_seconds)
        os.utime(file, (second, second))

    def processes(self):
        """Return the ids of the tests' processes, those that outlived their parents too."""
        children = defaultdict(list)
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended
                state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    children[int(parent)].append(int(path.name))
        found = [self._zygote.pid]
        for pid in found:
            found += children[pid]
        return found[1:]

    def _end_processes(self):
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
