"""README's first screen, copied as printed, works."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faktory_unique.policy.settings import load

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(faktory_url, redis_url):
    """What the first block exports, with the addresses of the test's servers."""
    exported = dict(re.findall(r"^export (\w+)=(\S+)$", blocks("sh")[0], re.MULTILINE))
    assert exported == {
        "FAKTORY_URL": "tcp://localhost:7419",
        "FAKTORY_UNIQUE_STORE": "redis://localhost:6379/0",
    }
    return {**os.environ, "FAKTORY_URL": faktory_url, "FAKTORY_UNIQUE_STORE": redis_url}


def test_the_first_screen_works_as_printed(environment, tmp_path, wait_for, locks):
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

    pushing = start("push.py")
    assert pushing.communicate(timeout=30) == (f"{printed[1]}\n", "")
    assert len(locks()) == 1
    working = start("work.py")
    assert working.stdout.readline() == f"{printed[3]}\n"
    wait_for(lambda: not locks())
    working.send_signal(signal.SIGINT)
    assert working.communicate(timeout=30) == ("", "")
    assert working.returncode == 0
    again = start("push.py")
    assert again.communicate(timeout=30)[0] == f"{printed[1]}\n"


def test_its_tests_pass_as_printed(tmp_path):
    """In a folder of their own, with no server to be found."""
    [block] = [block for block in blocks("python") if block.startswith("# test_signup.py")]
    (tmp_path / "test_signup.py").write_text(block, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.splitlines()[-1].startswith("2 passed"), ended.stdout


def test_every_python_block_compiles():
    for number, block in enumerate(blocks("python")):
        compile(block, f"README block {number}", "exec")


def test_every_setting_in_readme_is_one(monkeypatch, tmp_path):
    exported = dict(
        re.findall(r"^export (FAKTORY_UNIQUE_\w+)='?([^'\n]+)'?$", README, re.MULTILINE)
    )
    config = tmp_path / "unique.toml"
    [toml] = blocks("toml")
    config.write_text(toml, encoding="utf-8")
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAKTORY_UNIQUE_CONFIG", str(config))
    settings = load()
    assert settings.policies["Billing::Invoice"].by == (0,)
    assert settings.default.ttl == 1800
    for name in exported:
        monkeypatch.delenv(name)
    alone = load(config=config)
    assert (alone.policies["Billing::Invoice"].ttl, alone.default.ttl) == (7200, 1800)
