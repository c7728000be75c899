"""The wheel contains every module, its metadata and the type marker, and nothing else."""

from __future__ import annotations

import json
import re
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


def test_wheel_has_every_module_and_py_typed(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "faktory_unique").rglob("*")
        if path.suffix in {".py", ".lua", ".typed"}
    } | {"pytest_faktory_unique.py"}
    assert {name for name in names if not name.startswith("faktory_unique-")} == sources
    assert "faktory_unique/py.typed" in names


def test_metadata_has_license_extras_and_command(wheel):
    files = zipfile.ZipFile(wheel)
    metadata = {name.split("/")[-1]: files.read(name).decode() for name in files.namelist()}
    assert "License-Expression: MIT" in metadata["METADATA"]
    assert "Provides-Extra: cli" in metadata["METADATA"]
    assert "Requires-Python: >=3.11" in metadata["METADATA"]
    assert "faktory-unique = faktory_unique.__main__:main" in metadata["entry_points.txt"]
    assert "[pytest11]\nfaktory_unique = pytest_faktory_unique" in metadata["entry_points.txt"]
    assert "MIT License" in metadata["LICENSE"]


def test_claimed_pythons_are_the_ones_that_are_tested(wheel):
    """Each classifier has a session of noxfile.py, which `make versions` runs. None is left out."""
    files = zipfile.ZipFile(wheel)
    [name] = [name for name in files.namelist() if name.endswith("/METADATA")]
    metadata = files.read(name).decode()
    claimed = re.findall(r"^Classifier: .* :: Python :: (3\.\d+)$", metadata, re.MULTILINE)
    nox = [sys.executable, "-m", "nox", "--noxfile", ROOT / "noxfile.py", "--list", "--json"]
    listed = subprocess.run(nox, cwd=ROOT, capture_output=True, text=True, check=True)
    tested = {session["python"]: session["name"] for session in json.loads(listed.stdout)}
    [oldest] = re.findall(r"^Requires-Python: >=(\S+)$", metadata, re.MULTILINE)
    assert claimed[0] == oldest
    assert {version: tested.get(version) for version in claimed} == {
        version: "lowest" if version == oldest else "newest" for version in claimed
    }


def test_wheel_is_importable_without_the_checkout(wheel, tmp_path):
    """A user has the wheel only."""
    program = "import faktory_unique; print(faktory_unique.__file__)"
    completed = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout.startswith(str(wheel))
