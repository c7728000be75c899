"""Journals of a chaos run: one JSON line per entry, written at once so that SIGKILL keeps it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

JOURNAL_VARIABLE = "CHAOS_JOURNAL"
"""The environment variable with the path of a process's journal."""

NAME_VARIABLE = "CHAOS_NAME"
"""The environment variable with a process's name, such as `worker-1.3`: the third of slot 1."""


class Journal:
    """A file of entries, each appended by one write: whole, or not at all.

    Args:
        path: the file; entries are appended.
        writer: the name of this process, in each entry.
    """

    def __init__(self, path, writer):
        self.writer = writer
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @classmethod
    def of_this_process(cls):
        """Open the journal that the environment names."""
        return cls(os.environ[JOURNAL_VARIABLE], os.environ[NAME_VARIABLE])

    def write(self, type_, **fields):
        """Append an entry with the time (by both clocks), the writer, the type and the fields.

        A field `mono` replaces the present time: the entry is about an earlier moment.
        """
        clocks = {"mono": time.monotonic(), "wall": time.time()}
        entry = {**clocks, "writer": self.writer, "type": type_, **fields}
        os.write(self._file, json.dumps(entry).encode() + b"\n")

    def write_event(self, event):
        """Append an event of `Unique`: a hook."""
        self.write(
            "event",
            name=event.name.value,
            key=event.key,
            owner=event.owner,
            jid=event.jid,
            detail=event.detail,
        )


class JournalReader:
    """Reads the new entries of all journals in a folder."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._offsets = {}

    def read_new(self):
        """Return the entries that were written since the last call, journal by journal."""
        entries = []
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                content = file.read()
            whole_lines = content[: content.rfind(b"\n") + 1]
            self._offsets[path] = self._offsets.get(path, 0) + len(whole_lines)
            entries += [json.loads(line) for line in whole_lines.splitlines()]
        return entries


def read_journals(folder):
    """Return all entries of all journals in a folder, in the order of time."""
    # All processes run on one machine, so they share the monotonic clock.
    return sorted(JournalReader(folder).read_new(), key=lambda entry: entry["mono"])
