"""A tree runs tests on a mutant, also in child processes, and leaves no process behind."""

from __future__ import annotations

import dataclasses

import pytest

from tests.mutants.mutate import mutants
from tests.mutants.selection import ROOT
from tests.mutants.tree import Outcome, Tree

PATH = "faktory_unique/locks/ecma_number.py"

TESTS = """
import multiprocessing, os, subprocess, sys, time

COMMAND = "from faktory_unique.locks import ecma_number; assert ecma_number._MAX_N == 21"

def test_own_process():
    exec(COMMAND)

def test_subprocess(tmp_path):
    subprocess.run([sys.executable, "-c", COMMAND], cwd=tmp_path, check=True)

def test_spawned_process():
    process = multiprocessing.get_context("spawn").Process(target=exec, args=[COMMAND])
    process.start()
    process.join()
    assert process.exitcode == 0

def test_hang():
    command = "sleep 7654 & sleep 7654"
    subprocess.Popen(command, shell=True, start_new_session=True, env={})
    time.sleep(7654)
"""


@pytest.fixture(scope="module")
def tree():
    with Tree() as tree:
        tree.root.joinpath("tests/test_written.py").write_text(TESTS)
        yield tree


@pytest.fixture(scope="module")
def mutant():
    source = (ROOT / PATH).read_text(encoding="utf-8")
    return next(m for m in mutants(PATH, source) if "-5, 22" in m.source)


@pytest.mark.parametrize("process", ["own_process", "subprocess", "spawned_process"])
def test_process_imports_the_mutant_during_the_block(tree, mutant, process):
    name = f"tests/test_written.py::test_{process}"
    with tree.mutated(mutant):
        assert tree.run({name: 60}) == (Outcome.FAILED, [name])
    assert tree.run({name: 60}) == (Outcome.PASSED, [])


def test_package_that_cannot_be_imported_breaks_the_run(tree, mutant):
    broken = dataclasses.replace(mutant, start=0, end=0, replacement="raise ValueError\n")
    with tree.mutated(broken):
        outcome = tree.run({"tests/unit/test_keys.py::test_braces_in_a_name_are_escaped": 60})
    assert outcome == (Outcome.BROKEN, [])


def test_tests_beyond_the_limit_leave_no_process(tree):
    outcome, failed = tree.run({"tests/test_written.py::test_hang": 1})
    assert (outcome, failed) == (Outcome.TIMED_OUT, [])
    assert tree.processes() == []
