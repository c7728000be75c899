"""The ways from a process to Faktory and to the store: each use is a step, and may go wrong."""

from __future__ import annotations

from faktory_unique import StoreUnavailable
from faktory_unique.testing.server.memory_stream import MemoryStream
from tests.simulation.faults import Fault


class Way(MemoryStream):
    """A process's connection to the Faktory in memory."""

    def __init__(self, world, process):
        super().__init__(world.faktory._core, lambda _jids: None)
        self._world = world
        self._process = process
        self._fault = None
        self._stepped = False
        self._verb = None

    def is_idle(self):
        """Asked before a command is sent on a connection that stands: here the step begins."""
        if not super().is_idle():
            return False
        self._step()
        return self._fault is not Fault.NOT_SENT

    def send(self, command, deadline):
        self._verb = verb = command.partition(" ")[0]
        if verb in {"HELLO", "END"}:
            super().send(command, deadline)
            return
        if not self._stepped:
            self._step()
        self._stepped = False
        fault = self._process.scripted(verb) or self._fault
        self._world.name_step(self._process, verb)
        if fault in {Fault.LOST, Fault.NOT_SENT}:
            raise ConnectionResetError(f"{verb} is lost")
        if fault is Fault.LATE:
            self._world.later(self._process, lambda: self._carry_out_later(verb, command))
            raise ConnectionResetError(f"{verb} is late")
        if fault is Fault.NOT_NOW:
            self._buffer += b"-ERR shutdown in progress\r\n"
            return
        if fault is Fault.REFUSED:
            self._buffer += b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
            return
        if verb == "FETCH" and not self._world.has_jobs():
            self._buffer += b"$-1\r\n"  # what the server answers after 2 s
        else:
            with self._world.truth.acting(self._process):
                super().send(command, deadline)
        self._process.carried_out(verb)
        self._world.truth.jobs.answered(self._process, fault is not Fault.ANSWER_LOST)
        if fault is Fault.ANSWER_LOST:
            raise ConnectionResetError(f"the answer to {verb} is lost")
        if fault is Fault.FALSE_ERROR:
            self._buffer[:] = b"-ERR context deadline exceeded\r\n"
        self._process.after_step(fault)

    def read_reply(self, deadline):
        if self._verb == "PUSHB" and self._process.answers_take:
            self._process.stand_still(self._process.answers_take)
        return super().read_reply(deadline)

    def _carry_out_later(self, verb, command):
        if verb != "FETCH" or self._world.has_jobs():
            way = MemoryStream(self._world.faktory._core, lambda _jids: None)
            way.send('HELLO {"v":2}', None)
            way.send(command, None)

    def _step(self):
        self._fault = self._process.before_step(self._world.faktory_away)
        self._stepped = True


class Address:
    """What a process finds where Faktory is; see `faktory_unique.faktory.local.LocalServer`."""

    def __init__(self, world, process):
        self._world = world
        self._process = process
        self.now = world.clock

    def connect(self):
        if self._world.faktory_away() or self._process.is_refused():
            raise ConnectionRefusedError("nobody listens")
        return Way(self._world, self._process)


class WayToStore:
    """A process's `Store`: the one that all share."""

    def __init__(self, world, process):
        self._world = world
        self._process = process
        self.now = world.clock

    def run(self, transitions):
        fault = self._process.before_step(self._world.store_away)
        self._world.name_step(self._process, "store " + _told(transitions))
        if fault is Fault.LOST:
            raise StoreUnavailable("away")
        if fault is Fault.LATE:
            self._world.later(self._process, lambda: self._world.store.run(transitions))
            raise StoreUnavailable("late")
        with self._world.truth.acting(self._process):
            found = self._world.store.run(transitions)
        if fault is Fault.ANSWER_LOST:
            raise StoreUnavailable("the answer is lost")
        self._process.after_step(fault)
        return found

    def read(self, keys):
        return self._world.store.read(keys)

    def scan(self, beginning):
        return self._world.store.scan(beginning)

    def close(self):
        """Nothing is kept open."""


def _told(transitions):
    """The first of the changes, for people."""
    transition = transitions[0]
    value = (
        "freed" if transition.value is None else "leased" if transition.value[-1] == "?" else "held"
    )
    return f"{'absent' if transition.expected[:1] == (None,) else 'mine'} → {value}"
