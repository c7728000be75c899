"""Every code block of README.md runs as printed, and its settings load.

Also the event table of docs/rollout.md: it lists every event.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faktory_unique import EventName, Job, Policy, Producer, Unique
from faktory_unique.policy.settings import load_settings
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROLLOUT = (ROOT / "docs" / "rollout.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(faktory_url, redis_url):
    """The variables that the first block exports, with the addresses of the test's servers."""
    exported = dict(re.findall(r"^export (\w+)=(\S+)$", blocks("sh")[0], re.MULTILINE))
    assert exported == {
        "FAKTORY_URL": "tcp://localhost:7419",
        "FAKTORY_UNIQUE_STORE": "redis://localhost:6379/0",
    }
    return {**os.environ, "FAKTORY_URL": faktory_url, "FAKTORY_UNIQUE_STORE": redis_url}


def test_first_screen_works_as_printed(environment, tmp_path, wait_for, locks):
    for block in blocks("python")[:2]:
        name = re.match(r"# (\w+\.py)\n", block).group(1)
        (tmp_path / name).write_text(block, encoding="utf-8")
    printed = blocks("console")[0].splitlines()
    assert printed[0] == "$ python push.py"
    assert printed[2] == "$ python work.py"

    def start(name):
        return subprocess.Popen(
            [sys.executable, name],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    producer = start("push.py")
    assert producer.communicate(timeout=PATIENCE) == (f"{printed[1]}\n", "")
    assert len(locks()) == 1
    worker = start("work.py")
    assert worker.stdout.readline() == f"{printed[3]}\n"
    wait_for(lambda: not locks())
    worker.send_signal(signal.SIGINT)
    assert worker.communicate(timeout=PATIENCE) == ("", "")
    assert worker.returncode == 0
    producer = start("push.py")
    assert producer.communicate(timeout=PATIENCE)[0] == f"{printed[1]}\n"


def test_printed_tests_pass(tmp_path):
    """They run in a folder of their own, without any server."""
    [block] = [block for block in blocks("python") if block.startswith("# test_signup.py")]
    (tmp_path / "test_signup.py").write_text(block, encoding="utf-8")
    completed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.stdout.splitlines()[-1].startswith("2 passed"), completed.stdout


def test_every_python_block_compiles():
    for number, block in enumerate(blocks("python")):
        compile(block, f"README block {number}", "exec")


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=block.splitlines()[0])
        for block in blocks("python")
        if not re.match(r"# \w+\.py\n", block)
    ],
)
def test_other_python_block_runs(block, faktory):
    """The blocks that name no file: each runs with the names that README has introduced before."""
    with Unique(policies={"EmailNotification": Policy(ttl="1h")}) as unique:
        names = {
            "Unique": Unique,
            "Policy": Policy,
            "unique": unique,
            "producer": Producer(faktory.client(), middleware=[unique]),
            "job": Job(jobtype="EmailNotification", args=[42, "welcome"]),
            "jids": [],
        }
        exec(compile(block, "README.md", "exec"), names)


def test_rollout_lists_every_event_once():
    section = re.search(r"^## Events\n(.*?)(?=^## |\Z)", ROLLOUT, re.DOTALL | re.MULTILINE)[1]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    listed = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(listed) == sorted(name.value for name in EventName)


def test_every_setting_in_readme_loads(monkeypatch, tmp_path):
    exported = dict(
        re.findall(r"^export (FAKTORY_UNIQUE_\w+)='?([^'\n]+)'?$", README, re.MULTILINE)
    )
    config = tmp_path / "unique.toml"
    [toml] = blocks("toml")
    config.write_text(toml, encoding="utf-8")
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAKTORY_UNIQUE_CONFIG", str(config))
    settings = load_settings()
    assert settings.policies["Billing::Invoice"].by == (0,)
    assert settings.default.ttl == 1800
    for name in exported:
        monkeypatch.delenv(name)
    from_file = load_settings(config=config)
    assert (from_file.policies["Billing::Invoice"].ttl, from_file.default.ttl) == (7200, 1800)
