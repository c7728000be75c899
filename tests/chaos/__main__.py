"""`python -m tests.chaos --seconds 60 --seed 1`: a chaos run; see the package's docstring."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from scripts.servers import missing_faktory, missing_redis
from tests.chaos.plan import plan
from tests.chaos.run import run, say

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main():
    """Runs, and says in its last line what came of it; the status to exit with."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for which there are faults")
    parser.add_argument("--seed", type=int, default=1, help="of the plan, and of all that is drawn")
    parser.add_argument("--plan", action="store_true", help="say what would be done, and end")
    parser.add_argument("--keep", action="store_true", help="keep the journals in any case")
    given = parser.parse_args()
    if given.plan:
        for fault in plan(given.seconds, given.seed):
            said = " ".join(f"{name}={value}" for name, value in fault.parameters.items())
            say(f"{fault.at:8.3f} s  {fault.kind} of {fault.target} {said}".rstrip())
        return 0
    if reason := missing_redis() or missing_faktory():
        say(reason)
        return 2
    for number in _INTERRUPTS:
        signal.signal(number, _leave)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    good = False
    try:
        good = run(given.seconds, given.seed, folder)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    finally:
        if good and not given.keep:
            shutil.rmtree(folder)
        else:
            sys.stderr.write(f"journals, logs and data are kept: {folder}\n")
    return 0 if good else 1


def _leave(*_signal):
    """Ends the run; nothing more may keep what it has started from being ended."""
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
