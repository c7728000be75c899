"""Command line of the chaos run: `python -m tests.chaos --seconds 60 --seed 1`."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from scripts.servers import missing_faktory, missing_redis
from tests.chaos.bugs import BUGS
from tests.chaos.fault_plan import plan_faults
from tests.chaos.run import print_line, run
from tests.chaos.trials import TRIALS, Trial
from tests.chaos.workload import Workload

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main():
    """Run, print the result in the last line, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long faults are injected")
    parser.add_argument("--seed", type=int, default=1, help="seed of the plan and all random draws")
    parser.add_argument("--trial", choices=TRIALS, help="a short run that is aimed at one race")
    parser.add_argument("--bug", choices=BUGS, help="plant a bug in the producers and workers")
    parser.add_argument("--early", action="store_true", help="stop as soon as the audit fails")
    parser.add_argument("--plan", action="store_true", help="print the plan of faults and exit")
    parser.add_argument("--keep", action="store_true", help="keep the journals after a good run")
    options = parser.parse_args()
    if options.trial:
        trial = TRIALS[options.trial]
    else:
        plan = plan_faults(options.seconds, options.seed)
        trial = Trial("all faults", options.seconds, Workload(), plan)
    if options.plan:
        for fault in trial.faults:
            parameters = " ".join(f"{name}={value}" for name, value in fault.parameters.items())
            print_line(f"{fault.at:8.3f} s  {fault.kind} of {fault.target} {parameters}".rstrip())
        return 0
    if reason := missing_redis() or missing_faktory():
        print_line(reason)
        return 2
    for number in _INTERRUPTS:
        signal.signal(number, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    passed = False
    try:
        passed = run(
            trial,
            options.seed,
            folder,
            name=options.trial or "",
            bug=options.bug or "",
            stops_early=options.early,
        )
    except KeyboardInterrupt:
        print_line("interrupted")
        return 130
    finally:
        if passed and not options.keep:
            shutil.rmtree(folder)
        else:
            sys.stderr.write(f"kept journals, logs and data: {folder}\n")
    return 0 if passed else 1


def _interrupt(*_signal):
    """End the run. Later signals are ignored, so that the cleanup is not interrupted."""
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
