"""Handlers of a worker in another process, which imports this module."""

from pathlib import Path


def note(path, text):
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def fail():
    raise ValueError("boom")
