"""The examples of docs/testing.md run as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faktory_unique import Job, Producer

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")


def blocks(language):
    """Return the page's blocks of a language, each with the slug of its heading."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    return [(slug(section), block) for section in sections for block in fence.findall(section)]


def slug(section):
    return re.sub(r"\W+", "-", section.partition("\n")[0].lower()).strip("-")


def file_name(number, heading, block):
    """Return the file of a block: the file it names, a test file, or None for a plain program."""
    if named := re.match(r"# (\w+\.py)\n", block):
        return named[1]
    return f"test_{number:02}_{heading}.py" if "def test_" in block else None


EXAMPLES = [
    (file_name(number, heading, block), heading, block)
    for number, (heading, block) in enumerate(blocks("python"))
]


@pytest.fixture
def page(tmp_path):
    """A folder with the files that the page names, and with its tests."""
    for name, _, block in EXAMPLES:
        if name is not None:
            (tmp_path / name).write_text(block, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run_tests(page, server_url):
    """Run tests of the page in a process with one server address. Return the completed process."""

    def run(pattern):
        names = sorted(str(path) for path in page.glob(pattern))
        assert names
        environment = {name: value for name, value in os.environ.items() if "FAKTORY" not in name}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-Werror", "-pno:cacheprovider", *names],
            cwd=page,
            env={**environment, "TEST_FAKTORY_URL": server_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("server_url", ["fake"], indirect=True)
def test_every_test_of_the_page_passes(run_tests):
    completed = run_tests("test_*.py")
    assert completed.returncode == 0, completed.stdout
    written = sum(block.count("def test_") for _, _, block in EXAMPLES)
    assert int(re.search(r"(\d+) passed", completed.stdout)[1]) >= written


@pytest.mark.parametrize(
    "server_url", [pytest.param("real", marks=pytest.mark.faktory)], indirect=True
)
def test_real_server_tests_pass_on_a_real_server(run_tests):
    completed = run_tests("test_*_tests-on-a-real-server.py")
    assert completed.returncode == 0, completed.stdout


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=heading) for name, heading, block in EXAMPLES if name is None]
)
def test_every_other_example_runs(block):
    exec(compile(block, "docs/testing.md", "exec"), {"__name__": "docs"})


def test_sample_of_an_assertion_error_is_exact(faktory):
    producer = Producer(faktory.client())
    producer.push(Job(jobtype="EmailNotification", args=[42, "welcome"]))
    due = "2100-01-01T00:00:00Z"
    producer.push(Job(jobtype="Report", args=[{"month": 7}], queue="slow", at=due))
    with pytest.raises(AssertionError) as raised:
        faktory.assert_enqueued("EmailNotification", args=[42, "invoice"])
    ((_, sample),) = blocks("text")
    assert f"{raised.value}\n" == sample
