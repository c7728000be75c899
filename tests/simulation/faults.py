"""The faults that can happen at a step of a process, and how long each lasts."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """A fault at a step of a process: a command to Faktory, a call of the store, or a handler."""

    CRASH_BEFORE = "the process is killed before it sends"
    CRASH_AFTER = "the process is killed after the command was carried out"
    LOST = "the command is lost"
    REPLY_LOST = "the command is carried out, and its reply is lost"
    LATE = "the command is carried out 8 s later, after its sender timed out"
    NOT_SENT = "the connection is refused once"
    SHUTTING_DOWN = "the server answers once that it is shutting down"
    FALSE_ERROR = "the command is carried out, and its reply is an error"
    DOWN = "the server or the store is unavailable for 25 s"
    CUT_OFF = "the process can reach neither server nor store for 100 s"
    STOP_BEFORE = "the process is stopped for 100 s before it sends"
    STOP_AFTER = "the process is stopped for 100 s after it has the reply"
    REFUSED = "the server's storage refuses the command"  # only in scenarios that ask for it

    @property
    def is_stop(self):
        """Return whether the process is stopped, so that it can keep no deadline."""
        return self in {Fault.STOP_BEFORE, Fault.STOP_AFTER}

    @property
    def is_crash(self):
        return self in {Fault.CRASH_BEFORE, Fault.CRASH_AFTER}


# Seconds: longer than a reservation and a lease, which are 60 s each.
STOP_SECONDS = 100
# Seconds: as long as a server can take, and within the late grace of docs/design.md §5.
LATE_SECONDS = 8
# Seconds: shorter than a lease, and longer than a retry's pause.
OUTAGE_SECONDS = 25

ANYWHERE = (
    *(Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.STOP_BEFORE, Fault.STOP_AFTER),
    *(Fault.DOWN, Fault.CUT_OFF, Fault.LOST, Fault.REPLY_LOST, Fault.LATE),
)
ON_FAKTORY = (*ANYWHERE, Fault.NOT_SENT, Fault.SHUTTING_DOWN)
ON_PUSH = (*ON_FAKTORY, Fault.FALSE_ERROR)
ON_HANDLER = (Fault.CRASH_BEFORE, Fault.STOP_BEFORE)


def faults_at(label):
    """Return the faults that can happen at a step with this label."""
    match label.split()[0]:
        case "store":
            return ANYWHERE
        case "PUSHB":
            return ON_PUSH
        case "handler":
            return ON_HANDLER
        case _:
            return ON_FAKTORY
