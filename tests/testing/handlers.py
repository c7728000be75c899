"""What a worker in another process does. A module of its own: its pool's processes import it."""

from pathlib import Path


def note(path, text):
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def fail():
    raise ValueError("boom")
