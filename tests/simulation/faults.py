"""What can go wrong at one step, and for how long."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """What happens at a step of a process towards Faktory or the store."""

    CRASH_BEFORE = "the process is killed before it sends"
    CRASH_AFTER = "the process is killed once it was carried out"
    LOST = "it is lost on its way"
    ANSWER_LOST = "it is carried out, and the answer is lost"
    LATE = "it is carried out 8 s later, when its sender has given up"
    NOT_SENT = "there is no connection, once"
    NOT_NOW = "the server shuts down and takes no command, once"
    FALSE_ERROR = "it is carried out, and answered with an error"
    DOWN = "the other side is away for 25 s"
    CUT_OFF = "the process reaches nobody for 100 s"
    STOP_BEFORE = "the process is stopped for 100 s before it sends"
    STOP_AFTER = "the process is stopped for 100 s once it has the answer"
    REFUSED = "the server's storage refuses it"  # asked for by scenarios alone

    @property
    def is_stop(self):
        """Whether the process stands still amid what it does: no promise of the clock's holds."""
        return self in {Fault.STOP_BEFORE, Fault.STOP_AFTER}

    @property
    def is_crash(self):
        return self in {Fault.CRASH_BEFORE, Fault.CRASH_AFTER}


# Longer than a reservation and a lease, each 60 s.
STOPPED = 100
# As long as a server can take, and within the bands of docs/design.md §5.
LATE_BY = 8
# Within a lease, and longer than a retry's pause.
AWAY = 25

ANYWHERE = (
    *(Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.STOP_BEFORE, Fault.STOP_AFTER),
    *(Fault.DOWN, Fault.CUT_OFF, Fault.LOST, Fault.ANSWER_LOST, Fault.LATE),
)
ON_FAKTORY = (*ANYWHERE, Fault.NOT_SENT, Fault.NOT_NOW)
ON_PUSH = (*ON_FAKTORY, Fault.FALSE_ERROR)
ON_HANDLER = (Fault.CRASH_BEFORE, Fault.STOP_BEFORE)


def faults_at(label):
    """What can happen at a step with this label."""
    match label.split()[0]:
        case "store":
            return ANYWHERE
        case "PUSHB":
            return ON_PUSH
        case "handler":
            return ON_HANDLER
        case _:
            return ON_FAKTORY
