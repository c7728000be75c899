"""Programs in other languages, built and installed; where a language is missing, see `need`."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.conftest import need
from tests.vectors.known import HERE

PROVISION = "run scripts/languages.sh"


@pytest.fixture(scope="session")
def node():
    """The command line of the Node program, without its command."""
    program = HERE / "node" / "main.mjs"
    installed = (program.parent / "node_modules").is_dir() and shutil.which("node")
    need(None if installed else f"no Node, or no packages of tests/vectors/node: {PROVISION}")
    return ["node", str(program)]


@pytest.fixture(scope="session")
def go(tmp_path_factory):
    """The command line of the Go program, without its command."""
    need(None if shutil.which("go") else f"no Go: {PROVISION}")
    built = tmp_path_factory.mktemp("go") / "vectors"
    words = ["go", "build", "-mod=readonly", "-o", str(built), "."]
    ended = subprocess.run(words, cwd=HERE / "go", capture_output=True, text=True, check=False)
    need(None if ended.returncode == 0 else f"{PROVISION}: {ended.stderr}")
    return [str(built)]


@pytest.fixture(scope="session")
def program_words(request):
    """`program_words(name)`: the command line that derives the keys of a file."""

    def words(name):
        if name == "python":
            return [sys.executable, "-m", "tests.vectors.key"]
        return [*request.getfixturevalue(name), "keys"]

    return words
