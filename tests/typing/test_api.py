"""The package's types hold for those who import it, under their own strict checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import faktory_unique


def test_a_consumers_strict_mypy_finds_nothing(tmp_path):
    """From another folder, so that the installed package is seen and no configuration of ours."""
    api = tmp_path / "api.py"
    api.write_text(Path(__file__).with_name("api.py").read_text(encoding="utf-8"))
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, api.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.startswith("Success"), ended.stdout + ended.stderr


def test_all_names_exactly_what_the_package_offers():
    public = {name for name in vars(faktory_unique) if not name.startswith("_")}
    modules = {name for name in public if name in sys_modules_of("faktory_unique")}
    assert sorted(public - modules) == sorted(faktory_unique.__all__)


def sys_modules_of(package):
    prefix = f"{package}."
    return {
        name.removeprefix(prefix).split(".")[0] for name in sys.modules if name.startswith(prefix)
    }
