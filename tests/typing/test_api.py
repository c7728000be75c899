"""The package's types are correct for a user's strict type checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import faktory_unique


def test_a_users_strict_mypy_finds_no_error(tmp_path):
    """It runs in another folder, so it sees the installed package and not our configuration."""
    api = tmp_path / "api.py"
    api.write_text(Path(__file__).with_name("api.py").read_text(encoding="utf-8"))
    completed = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, api.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.stdout.startswith("Success"), completed.stdout + completed.stderr


def test_all_lists_exactly_the_public_names():
    public = {name for name in vars(faktory_unique) if not name.startswith("_")}
    modules = {name for name in public if name in submodules("faktory_unique")}
    assert sorted(public - modules) == sorted(faktory_unique.__all__)


def submodules(package):
    prefix = f"{package}."
    return {
        name.removeprefix(prefix).split(".")[0] for name in sys.modules if name.startswith(prefix)
    }
