"""A process: its memory, its connections, and how it dies."""

from __future__ import annotations

import atexit
import threading
import time

from faktory_unique import Client, Job, Policy, Producer, PushStatus, Unique
from faktory_unique._pyfaktory import State
from faktory_unique.client import in_process
from faktory_unique.errors import FaktoryError, StoreError
from faktory_unique.locks.stamp import read_stamp
from faktory_unique.testing.local_consumer import LocalConsumer
from faktory_unique.testing.perform import run_job
from faktory_unique.worker.reservation import Reservation
from tests.simulation.faults import AWAY, STOPPED, Fault
from tests.simulation.network import Address, WayToStore

PORT = 7419


class Killed(BaseException):
    """The process is no more: what its code does from here on, nobody sees."""


class Process:
    """One process of a producer or a worker, as the library sees it.

    Args:
        world: where it runs.
        name: for people, and as a host name.
        policy: of all its jobs.
        script: what it does, given the process; None: it works jobs.

    Attributes:
        answers_take: seconds from the carrying out of a PUSHB until its answer is here.
    """

    def __init__(self, world, name, policy, script):
        self.world = world
        self.name = name
        self.script = script
        self.dead = False
        self.stopping = False
        self.works_on = None
        self.number = 0
        self.answers_take = 0
        self.owners = set()
        self.jobs = []
        self.next_fault = None
        self._scripted = {}
        self._meanwhile = {}
        self._refuse_once = False
        self.cut_off = Away(world.clock)
        self._address = Address(world, self)
        in_process.register(f"{name}.simulated", PORT, self._address)
        self.unique = Unique(WayToStore(world, self), default=Policy(**policy), hooks=[self._seen])
        # A thread of its own that sleeps for real is none for a simulation: see `sleep`.
        self.unique._context.deferred.flush_in_background = lambda: None
        self.unique._context.deferred._sleep = self.stand_still
        self.client = Client(f"tcp://{name}.simulated:{PORT}", role="both")
        self.client.state = State.IDENTIFIED  # and not by connect, which starts heartbeats
        self.producer = Producer(self.client, [self.unique])
        middleware = [*world.middleware(self), self.unique]
        self.consumer = LocalConsumer(self.client, middleware=middleware)
        self.consumer.register("Work", self._handle, bind=True)
        self.giving_up = _GivingUp(self)
        self.task = world.schedule.start(self._live)

    def __repr__(self):
        return self.name

    # ---- what the network asks ---------------------------------------------------------------

    def before_step(self, is_away):
        """Something is about to be sent: others may go on first, and a fault may strike."""
        fault = self._step()
        if fault is Fault.NOT_SENT:
            self._refuse_once = True
        if fault is Fault.DOWN:
            is_away.begin(AWAY)
        if fault is Fault.CUT_OFF:
            self.cut_off.begin(STOPPED)
        return Fault.LOST if is_away() or self.cut_off() else fault

    def carried_out(self, verb):
        """A command was carried out; its answer is not here yet."""
        if (act := self._meanwhile.pop(verb, None)) is not None:
            act()

    def after_step(self, fault):
        """A step is done, and its answer is here."""
        if fault is Fault.CRASH_AFTER:
            self.die()
        if fault is Fault.STOP_AFTER:
            self.stand_still(STOPPED)

    def is_refused(self):
        """Whether a connection is to be refused."""
        refused, self._refuse_once = self._refuse_once, False
        return refused or self.dead or self.cut_off()

    def scripted(self, verb):
        """The fault that the scenario wants at the next command of a verb."""
        waiting = self._scripted.get(verb)
        fault = waiting.pop(0) if waiting else None
        if fault is not None:
            self.world.truth.struck.add(self, fault)
        return fault

    def die(self):
        """Killed: at once, with all that it knew."""
        self.dead = True
        raise Killed

    # ---- what scripts do ---------------------------------------------------------------------

    def expect(self, verb, *faults):
        """The next commands of a verb meet these faults; None for none."""
        self._scripted[verb] = list(faults)

    def meanwhile(self, verb, act):
        """Has something happen once the next command of a verb was carried out."""
        self._meanwhile[verb] = act

    def stand_still(self, seconds):
        """Stopped, as by SIGSTOP."""
        if self.dead:
            raise Killed
        self.world.schedule.sleep(self.task, seconds)

    def sleep(self, seconds):
        """Waits; meanwhile what its store is owed is tried again, as by its thread."""
        until = self.world.clock() + seconds
        while (left := until - self.world.clock()) > 0:
            self.stand_still(min(left, 5))
            if self.unique._context.deferred:
                self.unique._context.deferred.flush()

    def job(self, **fields):
        """A job of the one work that all is about."""
        return Job(**{"jobtype": "Work", "args": [1], "retry": 3, "reserve_for": 60, **fields})

    def push(self, *jobs):
        """Pushes; each job's result, or None where it is not known."""
        self.owners |= {job.jid for job in jobs}
        before = self.world.truth.jobs.jids()
        try:
            results = self.producer.push_bulk(jobs).results
        except (FaktoryError, StoreError) as exc:
            results = exc.results
        self.owners |= {result.jid for result in results}
        self.world.truth.results.check(results, before)
        return results or [None] * len(jobs)

    def push_until_known(self, job, *, pause=5):
        """Pushes one job, as often as it takes to know that it, or its equal, is there."""
        while True:
            [result] = self.push(job)
            if result is not None and (result or result.status is PushStatus.DUPLICATE):
                return result
            self.sleep(pause)

    def work(self):
        """Works jobs until the world is over, or it is told to stop."""
        while not self.dead and self._await_job():
            self.work_one()

    def work_one(self):
        """Fetches a job, and works it."""
        since = time.monotonic(), self.client.now()
        try:
            job = self.client._fetch(["default"])
        except FaktoryError:
            self.sleep(1)
            return
        if job is not None:
            self._work(job, since)

    def _await_job(self):
        world = self.world
        while self.unique._context.deferred and not self.stopping and not world.has_jobs():
            self.sleep(1)
        self.task.wait(lambda: self.stopping or world.is_over or world.has_jobs(), is_busy=False)
        return not world.is_over and not self.stopping

    def _work(self, job, since):
        stamp = read_stamp(job)
        if stamp is not None:
            self.owners.add(stamp.owner)
        reservation = Reservation(self.client, job, since, self.giving_up)
        with self.world.truth.jobs.working(self, job):
            run_job(self.consumer, reservation, lambda: None)

    def _handle(self, jid, *_args):
        self._handler_step("handler begins")
        with self.world.truth.jobs.handling(self, jid) as attempt:
            try:
                self.world.handler(self, attempt)
            except ValueError:
                self.world.truth.jobs.ended_badly(jid)
                raise
            self._handler_step("handler ends")
        self.world.truth.jobs.ended_well(jid)

    def _step(self):
        if self.dead:
            raise Killed
        number = self.world.schedule.step(self.task)
        fault, self.next_fault = self.world.fault_at(number, self), None
        if fault is Fault.CRASH_BEFORE:
            self.die()
        if fault is Fault.STOP_BEFORE:
            self.stand_still(STOPPED)
        return fault

    def _handler_step(self, label):
        self._step()
        self.world.name_step(self, label)

    def _seen(self, event):
        if not self.dead:
            self.world.truth.event(event)

    def _live(self):
        try:
            if self.script is None:
                self.work()
            else:
                self.script(self)
            self.unique.close()
        except Killed:
            pass
        # The library may have taken what killed it for a handler's or a middleware's own.
        if self.dead:
            kept = self.unique._context.deferred
            kept._writes.clear()
            atexit.unregister(kept.close)
            self.world.killed(self)


class Away:
    """Whether somebody cannot be reached."""

    def __init__(self, clock):
        self._clock = clock
        self._until = 0.0

    def begin(self, seconds):
        self._until = self._clock() + seconds

    def __call__(self):
        return self._clock() < self._until


class _GivingUp(threading.Event):
    """Set when a worker has no more time; waiting for it takes the world's time."""

    def __init__(self, process):
        super().__init__()
        self._process = process

    def wait(self, timeout=None):
        if not self.is_set():
            self._process.sleep(timeout)
        return self.is_set()
