"""The examples of docs/testing.md are run as printed."""

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
    """The page's blocks of a language, each with the heading that it stands under."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    return [(slug(section), block) for section in sections for block in fence.findall(section)]


def slug(section):
    return re.sub(r"\W+", "-", section.partition("\n")[0].lower()).strip("-")


def file_name(number, heading, block):
    """What file a block is: the one that it names, a test, or None: to be run as it is."""
    if named := re.match(r"# (\w+\.py)\n", block):
        return named[1]
    return f"test_{number:02}_{heading}.py" if "def test_" in block else None


EXAMPLES = [
    (file_name(number, heading, block), heading, block)
    for number, (heading, block) in enumerate(blocks("python"))
]


@pytest.fixture
def page(tmp_path):
    """A folder with the page's files: those that it names, and its tests."""
    for name, _, block in EXAMPLES:
        if name is not None:
            (tmp_path / name).write_text(block, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run_tests(page, server_url):
    """Runs tests of the page in a process that knows of no server but one; what pytest said."""

    def run(pattern):
        names = sorted(str(path) for path in page.glob(pattern))
        assert names
        known = {name: value for name, value in os.environ.items() if "FAKTORY" not in name}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-Werror", "-pno:cacheprovider", *names],
            cwd=page,
            env={**known, "TEST_FAKTORY_URL": server_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("server_url", ["fake"], indirect=True)
def test_every_test_of_the_page_passes(run_tests):
    ended = run_tests("test_*.py")
    assert ended.returncode == 0, ended.stdout
    written = sum(block.count("def test_") for _, _, block in EXAMPLES)
    assert int(re.search(r"(\d+) passed", ended.stdout)[1]) >= written


@pytest.mark.parametrize(
    "server_url", [pytest.param("real", marks=pytest.mark.faktory)], indirect=True
)
def test_the_tests_on_a_real_server_pass_on_one(run_tests):
    ended = run_tests("test_*_tests-on-a-real-server.py")
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=heading) for name, heading, block in EXAMPLES if name is None]
)
def test_every_other_example_runs(block):
    exec(compile(block, "docs/testing.md", "exec"), {"__name__": "docs"})


def test_the_sample_of_a_message_is_what_is_said(faktory):
    producer = Producer(faktory.client())
    producer.push(Job(jobtype="EmailNotification", args=[42, "welcome"]))
    due = "2100-01-01T00:00:00Z"
    producer.push(Job(jobtype="Report", args=[{"month": 7}], queue="slow", at=due))
    with pytest.raises(AssertionError) as raised:
        faktory.assert_enqueued("EmailNotification", args=[42, "invoice"])
    ((_, sample),) = blocks("text")
    assert f"{raised.value}\n" == sample
