"""`Selection`: which tests execute which line of the package, and how long each test takes.

All tests are run once under coverage, by `recorder`. The result is kept in `.mutants/`. If a test
file has changed, or a source that its tests execute, its tests are run again.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from coverage import CoverageData
from coverage.exceptions import DataError

from tests.mutants.recorder import CONTEXT, RECORD

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".mutants"

# Tests of minutes each, or of programs in other languages. They cover no line that others do not.
_LEFT_OUT = ("chaos/", "mutants/", "recipes/", "simulation/", "vectors/test_locks")


class Test(NamedTuple):
    """A test that passed, as it was recorded.

    Attributes:
        name: pytest's id of the test.
        seconds: how long it took, with its fixtures.
        on_servers: whether it needs a real Redis or Faktory.
    """

    name: str
    seconds: float
    on_servers: bool


def package_sources():
    """Return the text of each source file of the package, by path."""
    paths = [*sorted((ROOT / "faktory_unique").rglob("*.py")), ROOT / "pytest_faktory_unique.py"]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def clean_environment():
    """Return the environment without what an outer pytest or coverage has set."""
    return {n: v for n, v in os.environ.items() if not n.startswith(("COV", "PYTEST_"))}


class Selection:
    """The tests of each line.

    Args:
        files: the test files that are used, relative to the root; all by default.
    """

    def __init__(self, files=None):
        self._sources = package_sources()
        self._trees = {path: ast.parse(text) for path, text in self._sources.items()}
        recorded = _recorded(files or _test_files())
        self._tests, self._lines = [], {}
        for entry in recorded.values():
            first = len(self._tests)
            self._tests += [Test(*test) for test in entry["tests"]]
            for path, lines in entry["lines"].items():
                for line, numbers in lines.items():
                    found = self._lines.setdefault(path, {}).setdefault(int(line), set())
                    found.update(first + number for number in numbers)

    def tests_for(self, mutant):
        """Return the tests that can notice a mutant, in the order in which they are to run.

        Those of the module's own test file are first, then those without servers, the fastest
        first. For a statement that is executed at import, these are the tests of the lines that
        use its names, then those of the module's functions.
        """
        path, tree = mutant.path, self._trees[mutant.path]
        around = [n for n in ast.walk(tree) if _contains(n, mutant.line)]
        function = [n for n in around if isinstance(n, ast.FunctionDef)]
        statement = [n for n in around if isinstance(n, ast.stmt)][-1]
        if function and mutant.line >= function[-1].body[0].lineno:
            return self._in_order(path, self._on_lines(path, _lines_of(statement)))
        if function:  # a default
            return self._in_order(path, self._on_lines(path, _lines_of_body(function[-1])))
        first = self._on_uses(_names(around, statement, tree))
        rest = self._on_lines(path, self._lines_in_functions(tree)) - first
        return [*self._in_order(path, first), *self._in_order(path, rest)]

    def _in_order(self, path, numbers):
        own = f"test_{Path(path).stem}"
        found = [self._tests[number] for number in numbers]
        return sorted(found, key=lambda t: (f"/{own}" not in t.name, t.on_servers, t.seconds))

    def _on_lines(self, path, lines):
        executed = self._lines.get(path, {})
        return set().union(*(executed.get(line, ()) for line in lines))

    def _on_uses(self, names):
        """Return the tests of the lines in which one of some names is used."""
        word = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
        found = set()
        for path, text in self._sources.items():
            lines = enumerate(text.splitlines(), 1)
            found |= self._on_lines(path, [number for number, line in lines if word.search(line)])
        return found

    @staticmethod
    def _lines_in_functions(tree):
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        return {line for function in functions for line in _lines_of_body(function)}


def _contains(node, line):
    return hasattr(node, "lineno") and node.lineno <= line <= node.end_lineno


def _lines_of(statement):
    """Return the lines of a statement; of a compound statement, those of its header."""
    body = getattr(statement, "body", None)
    end = max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno
    return range(statement.lineno, end + 1)


def _lines_of_body(function):
    return range(function.body[0].lineno, function.end_lineno + 1)


def _names(around, statement, tree):
    """Return the names that a statement outside functions binds, or those of its class.

    Also the names that other statements of the module, outside functions, derive from these.
    """
    names = set(_bound(statement)) or {n.name for n in around if isinstance(n, ast.ClassDef)}
    for following in tree.body:
        if not names.isdisjoint(n.id for n in ast.walk(following) if isinstance(n, ast.Name)):
            names.update(_bound(following))
    return sorted(names) or ["a name that no line has"]


def _bound(statement):
    targets = [*getattr(statement, "targets", ()), getattr(statement, "target", None)]
    return [n.id for t in targets if t for n in ast.walk(t) if isinstance(n, ast.Name)]


def _test_files():
    tests = ROOT / "tests"
    names = sorted(path.relative_to(tests).as_posix() for path in tests.rglob("test_*.py"))
    return [f"tests/{name}" for name in names if not name.startswith(_LEFT_OUT)]


def _recorded(files):
    """Return what was recorded of each test file. Record it first if it has changed.

    A file with a failed test is recorded again the next time; the failed test is left out.
    """
    cache = CACHE / "selection.json"
    known = json.loads(cache.read_text()) if cache.exists() else {}
    stale = [f for f in files if f not in known or known[f]["digest"] != _digest(f, known[f])]
    if stale:
        for file, entry in _record(stale).items():
            known[file] = {"digest": None if entry["failed"] else _digest(file, entry), **entry}
        CACHE.mkdir(exist_ok=True)
        cache.write_text(json.dumps(known))
    return {file: known[file] for file in files}


def _digest(file, entry):
    """Return a digest of a test file, its helpers, and the sources that its tests execute."""
    folder = (ROOT / file).parent
    helpers = [path for path in sorted(folder.glob("*.py")) if not path.name.startswith("test_")]
    sources = [ROOT / path for path in sorted(entry["lines"])]
    paths = [ROOT / file, ROOT / "tests/conftest.py", *helpers, *sources]
    parts = [path.read_bytes() if path.exists() else b"" for path in paths]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _record(files):
    """Run test files under coverage, two processes at a time. Return an entry for each file.

    A test that failed counts as passed if it passes without coverage, which can be in its way.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        shares = [share for share in (files[::2], files[1::2]) if share]
        paths = [Path(folder, f"{number}.json") for number in range(len(shares))]
        _run(shares, paths, _coverage_variables)
        tests = list(chain(*(json.loads(path.read_text()) for path in paths)))
        if failed := [name for name, _, outcome, *_ in tests if outcome == "failed"]:
            again = Path(folder, "again.json")
            _run([failed], [again], lambda _path: {})
            passed = {name for name, _, o, *_ in json.loads(again.read_text()) if o == "passed"}
            for test in tests:
                test[2] = "passed" if test[0] in passed else test[2]
        return _entries(files, tests, paths)


def _run(shares, paths, variables):
    """Run pytest on each share of the tests at once. Each process writes its path."""
    options = ["-q", "-p", "tests.mutants.recorder", "-p", "no:cacheprovider", "-o", "timeout=0"]
    runs = []
    with ExitStack() as stack:
        for share, path in zip(shares, paths, strict=True):
            command = [sys.executable, "-m", "pytest", *options, *share]
            environment = {**clean_environment(), RECORD: str(path), **variables(path)}
            run = subprocess.Popen(command, cwd=ROOT, env=environment)
            stack.callback(run.wait)
            stack.callback(run.terminate)  # unless it has ended
            runs.append(run)
        for run in runs:
            run.wait()


def _coverage_variables(path):
    return {
        "COVERAGE_PROCESS_START": str(Path(__file__).with_name("coverage.ini")),
        "MUTANTS_DATA": str(path.with_suffix(".coverage")),
        CONTEXT: "",
    }


def _entries(files, tests, paths):
    """Return the tests of each file and the lines that they execute."""
    entries = {file: {"tests": [], "failed": [], "lines": {}} for file in files}
    tests_of = defaultdict(list)
    for name, seconds, outcome, on_servers, contexts in tests:
        entry = entries[name.partition("::")[0]]
        if outcome == "passed":
            for context in contexts:
                tests_of[context].append((entry["lines"], len(entry["tests"])))
            entry["tests"].append([name, seconds, on_servers])
        elif outcome == "failed":
            entry["failed"].append(name)
    for source, line, contexts in _executed_lines(paths):
        for lines, number in chain(*(tests_of[context] for context in contexts)):
            lines.setdefault(source, {}).setdefault(str(line), []).append(number)
    return entries


def _executed_lines(paths):
    """Yield a source, a line, and the contexts in which it was executed, for each process."""
    for path in {data for part in paths for data in part.parent.glob(f"{part.stem}.coverage.*")}:
        data = CoverageData(str(path))
        try:
            data.read()
        except DataError:  # its process was killed as it wrote
            continue
        for measured in data.measured_files():
            source = str(Path(measured).relative_to(ROOT))
            for line, contexts in data.contexts_by_lineno(measured).items():
                yield source, line, contexts
