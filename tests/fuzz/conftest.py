"""Fixtures of the settings' fuzz tests: a clean environment, and a folder for TOML files."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in os.environ:
        if name.upper().startswith("FAKTORY_UNIQUE_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("settings")
