"""Logs of the processes: an error in one is a finding."""

from __future__ import annotations

import re

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def logged_errors(folder, history):
    """Yield the first error in the log of each process.

    The handlers of a killed process may outlive it, and end with a traceback when they find no
    parent. So nothing counts after the last line that the process logged itself.
    """
    for log in sorted(folder.glob("*-*.log")):
        lines = log.read_text(errors="replace").splitlines()
        if history.was_killed(log.stem):
            logged = [number for number, line in enumerate(lines, 1) if _TIMESTAMP.match(line)]
            lines = lines[: max(logged, default=0)]
        errors = [line for line in lines if " ERROR " in line or line.startswith("Traceback")]
        if errors:
            yield f"{log.stem} logged an error: {errors[0]}"
