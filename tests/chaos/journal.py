"""Journals: a line of JSON for everything that happens, which a SIGKILL does not take back."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

JOURNAL = "CHAOS_JOURNAL"
"""The environment variable with the path of a process's journal."""

WHO = "CHAOS_WHO"
"""The environment variable with a process's name, such as `worker-1.3`: the third of its place."""


class Journal:
    """A file of lines, each written at once: whole, or not at all.

    Args:
        path: of the file; lines are appended.
        who: stands in each line.
    """

    def __init__(self, path, who):
        self.who = who
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @classmethod
    def of_this_process(cls):
        """The journal that this process was told to write."""
        return cls(os.environ[JOURNAL], os.environ[WHO])

    def note(self, what, **more):
        """Writes a line: when (by both clocks), who, what, and more."""
        line = {"mono": time.monotonic(), "t": time.time(), "who": self.who, "what": what, **more}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def note_event(self, event):
        """A hook for `Unique`."""
        self.note(
            *("event",),
            name=event.name.value,
            key=event.key,
            owner=event.owner,
            jid=event.jid,
            detail=event.detail,
        )


class Reader:
    """Reads what is new in the journals of a folder."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._read = {}

    def new(self):
        """The lines that were written since the last call, journal by journal."""
        lines = []
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                said = file.read()
            whole = said[: said.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            lines += [json.loads(line) for line in whole.splitlines()]
        return lines


def read(folder):
    """All lines of all journals of a folder, in the order of time."""
    # Of one machine, so that the monotonic clock is the same for all.
    return sorted(Reader(folder).new(), key=lambda line: line["mono"])
