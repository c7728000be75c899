"""Build and install the programs in other languages. If a language is missing, see `need`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import ExitStack

import pytest

from faktory_unique import Client, Job, Policy, Producer, Unique
from tests.conftest import need
from tests.vectors.foreign import TTL, Foreign
from tests.vectors.known import HERE

PROVISION = "run scripts/languages.sh"


@pytest.fixture(scope="session")
def node():
    """The command line of the Node program, without a command."""
    program = HERE / "node" / "main.mjs"
    installed = (program.parent / "node_modules").is_dir() and shutil.which("node")
    need(None if installed else f"no Node, or no packages of tests/vectors/node: {PROVISION}")
    return ["node", str(program)]


@pytest.fixture(scope="session")
def go(tmp_path_factory):
    """The command line of the Go program, without a command."""
    need(None if shutil.which("go") else f"no Go: {PROVISION}")
    built = tmp_path_factory.mktemp("go") / "vectors"
    words = ["go", "build", "-mod=readonly", "-o", str(built), "."]
    ended = subprocess.run(words, cwd=HERE / "go", capture_output=True, text=True, check=False)
    need(None if ended.returncode == 0 else f"{PROVISION}: {ended.stderr}")
    return [str(built)]


@pytest.fixture(scope="session")
def program_words(request):
    """`program_words(name)` is the command line that derives the keys of a file."""

    def words(name):
        if name == "python":
            return [sys.executable, "-m", "tests.vectors.key"]
        return [*request.getfixturevalue(name), "keys"]

    return words


@pytest.fixture
def foreign(request, faktory_url, redis_url, tmp_path):
    environment = {"FAKTORY_URL": faktory_url, "REDIS_URL": redis_url}
    with ExitStack() as stack:
        yield Foreign(request.getfixturevalue, environment, tmp_path, stack)


@pytest.fixture
def unique(redis_url):
    policies = {name: Policy(ttl=TTL, until=name) for name in ("success", "start", "expiry")}
    policies["newest"] = Policy(on_conflict="replace", exclusive=True)
    with Unique(redis_url, policies, default=Policy(ttl=TTL)) as unique:
        yield unique


@pytest.fixture
def client(faktory_url):
    with Client(faktory_url) as client:
        yield client


@pytest.fixture
def push(client, unique):
    """`push(*args)` pushes a job from Python."""
    producer = Producer(client, [unique])

    def push(*args, jobtype="Email"):
        return producer.push(Job(jobtype=jobtype, args=list(args)))

    return push
