"""Run tests against each mutant of a module: `python -m tests.mutants.run MODULE TESTS…`.

A child is forked for each mutant, before the package is imported, and imports the mutant instead of
the module. The program prints the mutants on which no test fails, and the number of all. It exits
with 1 if any mutant survives.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from tests.mutants.mutate import mutants

# Slow imports are done before a child is forked; the package is not imported yet.
for _slow in ("pydantic_settings", "redis"):
    importlib.import_module(_slow)

_SOURCE_TO_CODE = SourceFileLoader.source_to_code
_AT_ONCE = 2
_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")


def run(module, tests):
    """Run the tests on each mutant. Return the names of the survivors, and the number of all."""
    path = Path(*module.split(".")).with_suffix(".py").resolve()
    original = path.read_text(encoding="utf-8")
    if not _survives(path, original, tests):
        raise RuntimeError(f"the tests fail on {module} as it is")
    waiting = list(mutants(original))
    number, running, survivors = len(waiting), {}, []
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            name, source = waiting.pop()
            running[_start(path, source, tests)] = name
        pid, status = os.wait()
        name = running.pop(pid)
        if os.waitstatus_to_exitcode(status) == 0:
            survivors.append(name)
    return survivors, number


def _survives(path, source, tests):
    _, status = os.waitpid(_start(path, source, tests), 0)
    return os.waitstatus_to_exitcode(status) == 0


def _start(path, source, tests):
    pid = os.fork()
    if pid == 0:
        _become_mutant(path, source, tests)
    return pid


def _become_mutant(path, source, tests):
    """Run the tests on a mutant in this forked child, and exit."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)

    def source_to_code(self, data, of, **options):
        return _SOURCE_TO_CODE(self, source if str(of) == str(path) else data, of, **options)

    SourceFileLoader.source_to_code = source_to_code
    # Compiled code on disk is that of the unchanged module.
    importlib.util.cache_from_source = lambda *_a, **_o: "/nonexistent/cache.pyc"
    SourceFileLoader.get_code = _get_code
    os._exit(int(pytest.main([*_OPTIONS, *tests]) != 0))


def _get_code(self, fullname):
    of = self.get_filename(fullname)
    return self.source_to_code(self.get_data(of), of)


if __name__ == "__main__":
    assert "faktory_unique" not in sys.modules
    survived, total = run(sys.argv[1], sys.argv[2:])
    lines = [*survived, f"{sys.argv[1]}: mutants={total} survived={len(survived)}"]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(survived))
