"""The wheel holds what its users need, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    [built] = folder.glob("*.whl")
    return built


def test_every_module_and_the_type_marker_are_in_it(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "faktory_unique").rglob("*")
        if path.suffix in {".py", ".typed"}
    } | {"pytest_faktory_unique.py"}
    assert {name for name in names if not name.startswith("faktory_unique-")} == sources
    assert "faktory_unique/py.typed" in names


def test_its_metadata_names_license_extras_and_command(wheel):
    files = zipfile.ZipFile(wheel)
    told = {name.split("/")[-1]: files.read(name).decode() for name in files.namelist()}
    assert "License-Expression: MIT" in told["METADATA"]
    assert "Provides-Extra: cli" in told["METADATA"]
    assert "Requires-Python: >=3.11" in told["METADATA"]
    assert "faktory-unique = faktory_unique.__main__:main" in told["entry_points.txt"]
    assert "[pytest11]\nfaktory_unique = pytest_faktory_unique" in told["entry_points.txt"]
    assert "MIT License" in told["LICENSE"]


def test_it_is_imported_from_the_wheel_alone(wheel, tmp_path):
    """Not from the checkout: what a user has."""
    program = "import faktory_unique; print(faktory_unique.__file__)"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(str(wheel))
