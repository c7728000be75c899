"""The connections of a process to Faktory and to the store. Each use is a step that can fail."""

from __future__ import annotations

from faktory_unique import StoreUnavailable
from faktory_unique.testing.server.memory_stream import MemoryStream
from tests.simulation.faults import Fault


class ProcessStream(MemoryStream):
    """A connection of a process to the in-memory Faktory."""

    def __init__(self, world, process):
        super().__init__(world.faktory._core, lambda _jids: None)
        self._world = world
        self._process = process
        self._fault = None
        self._stepped = False
        self._verb = None

    def is_idle(self):
        """Return whether a command can be sent. The client asks first, so the step begins here."""
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
        fault = self._process.scripted_fault(verb) or self._fault
        self._world.label_step(self._process, verb)
        if fault in {Fault.LOST, Fault.NOT_SENT}:
            raise ConnectionResetError(f"{verb} is lost")
        if fault is Fault.LATE:
            self._world.run_later(self._process, lambda: self._execute_late(verb, command))
            raise ConnectionResetError(f"{verb} is late")
        if fault is Fault.SHUTTING_DOWN:
            self._buffer += b"-ERR shutdown in progress\r\n"
            return
        if fault is Fault.REFUSED:
            self._buffer += b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
            return
        if verb == "FETCH" and not self._world.has_jobs():
            self._buffer += b"$-1\r\n"  # the server's reply after 2 s without a job
        else:
            with self._world.checker.acting(self._process):
                super().send(command, deadline)
        self._process.on_executed(verb)
        self._world.checker.jobs.on_reply(self._process, fault is not Fault.REPLY_LOST)
        if fault is Fault.REPLY_LOST:
            raise ConnectionResetError(f"the reply to {verb} is lost")
        if fault is Fault.FALSE_ERROR:
            self._buffer[:] = b"-ERR context deadline exceeded\r\n"
        self._process.after_step(fault)

    def read_reply(self, deadline):
        if self._verb == "PUSHB" and self._process.reply_delay:
            self._process.stop_for(self._process.reply_delay)
        return super().read_reply(deadline)

    def _execute_late(self, verb, command):
        if verb != "FETCH" or self._world.has_jobs():
            stream = MemoryStream(self._world.faktory._core, lambda _jids: None)
            stream.send('HELLO {"v":2}', None)
            stream.send(command, None)

    def _step(self):
        self._fault = self._process.before_step(self._world.faktory_outage)
        self._stepped = True


class ProcessAddress:
    """The in-memory address at which a process finds Faktory; see `client/in_process.py`."""

    def __init__(self, world, process):
        self._world = world
        self._process = process
        self.now = world.clock

    def connect(self):
        if self._world.faktory_outage() or self._process.is_refused():
            raise ConnectionRefusedError("the server is unavailable")
        return ProcessStream(self._world, self._process)


class ProcessStore:
    """The `Store` of one process. All processes share the locks behind it."""

    def __init__(self, world, process):
        self._world = world
        self._process = process
        self.now = world.clock

    def run(self, transitions):
        fault = self._process.before_step(self._world.store_outage)
        self._world.label_step(self._process, "store " + _label(transitions))
        if fault is Fault.LOST:
            raise StoreUnavailable("unavailable")
        if fault is Fault.LATE:
            self._world.run_later(self._process, lambda: self._world.store.run(transitions))
            raise StoreUnavailable("late")
        with self._world.checker.acting(self._process):
            found = self._world.store.run(transitions)
        if fault is Fault.REPLY_LOST:
            raise StoreUnavailable("the reply is lost")
        self._process.after_step(fault)
        return found

    def read(self, keys):
        return self._world.store.read(keys)

    def scan(self, beginning):
        return self._world.store.scan(beginning)

    def close(self):
        """Do nothing: no connection is open."""


def _label(transitions):
    """Return a label for the first of the transitions."""
    transition = transitions[0]
    value = (
        "released"
        if transition.value is None
        else "leased"
        if transition.value[-1] == "?"
        else "held"
    )
    return f"{'absent' if transition.expected[:1] == (None,) else 'own'} → {value}"
