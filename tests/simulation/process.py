"""A simulated process: its memory, its connections, and how it is killed."""

from __future__ import annotations

import atexit
import threading
import time

from faktory_unique import Client, Job, Policy, Producer, PushStatus, Unique
from faktory_unique._pyfaktory import State
from faktory_unique.client import in_process
from faktory_unique.errors import FaktoryError, StoreError
from faktory_unique.locks.stamp import read_stamp
from faktory_unique.testing.job_run import run_job
from faktory_unique.testing.local_consumer import LocalConsumer
from faktory_unique.worker.reservation import Reservation
from tests.simulation.faults import OUTAGE_SECONDS, STOP_SECONDS, Fault
from tests.simulation.network import ProcessAddress, ProcessStore

PORT = 7419


class Killed(BaseException):
    """Raised in a process that was killed. Its code has no effect from now on."""


class Process:
    """One process of a producer or a worker, as the library sees it.

    Args:
        world: the world in which it runs.
        name: the name of the process, part of its host name.
        policy: the policy of all its jobs, as a dict.
        script: a function that it runs, given the process; None: it works jobs.

    Attributes:
        reply_delay: seconds from the execution of a PUSHB until its reply arrives.
    """

    def __init__(self, world, name, policy, script):
        self.world = world
        self.name = name
        self.script = script
        self.dead = False
        self.stopping = False
        self.current_job = None
        self.number = 0
        self.reply_delay = 0
        self.owners = set()
        self.jobs = []
        self.next_fault = None
        self._scripted_faults = {}
        self._after_command = {}
        self._refuse_once = False
        self.cut_off = Outage(world.clock)
        self._address = ProcessAddress(world, self)
        in_process.register(f"{name}.simulated", PORT, self._address)
        self.unique = Unique(
            ProcessStore(world, self), default=Policy(**policy), hooks=[self._on_event]
        )
        # The real flush thread sleeps in real time, so the simulation flushes in `sleep`.
        self.unique._context.deferred.flush_in_background = lambda: None
        self.unique._context.deferred._sleep = self.stop_for
        self.client = Client(f"tcp://{name}.simulated:{PORT}", role="both")
        self.client.state = State.IDENTIFIED  # not by connect(), which starts a heartbeat thread
        self.producer = Producer(self.client, [self.unique])
        middleware = [*world.middleware(self), self.unique]
        self.consumer = LocalConsumer(self.client, middleware=middleware)
        self.consumer.register("Work", self._handle, bind=True)
        self.shutting_down = _ShutdownEvent(self)
        self.task = world.schedule.start(self._run)

    def __repr__(self):
        return self.name

    # ---- called by the network ---------------------------------------------------------------

    def before_step(self, outage):
        """Return the fault at a step that is about to happen. Others may run before it."""
        fault = self._step()
        if fault is Fault.NOT_SENT:
            self._refuse_once = True
        if fault is Fault.DOWN:
            outage.begin(OUTAGE_SECONDS)
        if fault is Fault.CUT_OFF:
            self.cut_off.begin(STOP_SECONDS)
        return Fault.LOST if outage() or self.cut_off() else fault

    def on_executed(self, verb):
        """Handle that a command was executed, before its reply arrives."""
        if (act := self._after_command.pop(verb, None)) is not None:
            act()

    def after_step(self, fault):
        """Handle that a step is done and its reply has arrived."""
        if fault is Fault.CRASH_AFTER:
            self.die()
        if fault is Fault.STOP_AFTER:
            self.stop_for(STOP_SECONDS)

    def is_refused(self):
        """Return whether a connection is refused now."""
        refused, self._refuse_once = self._refuse_once, False
        return refused or self.dead or self.cut_off()

    def scripted_fault(self, verb):
        """Return the fault that the scenario wants at the next command of this verb, or None."""
        waiting = self._scripted_faults.get(verb)
        fault = waiting.pop(0) if waiting else None
        if fault is not None:
            self.world.checker.fault_log.add(self, fault)
        return fault

    def die(self):
        """Kill the process at once, with all that it has in memory."""
        self.dead = True
        raise Killed

    # ---- called by scripts -------------------------------------------------------------------

    def script_faults(self, verb, *faults):
        """Inject these faults at the next commands of a verb; None for no fault."""
        self._scripted_faults[verb] = list(faults)

    def after_command(self, verb, act):
        """Call `act` once the next command of a verb was executed."""
        self._after_command[verb] = act

    def stop_for(self, seconds):
        """Do nothing for some seconds, as after SIGSTOP."""
        if self.dead:
            raise Killed
        self.world.schedule.sleep(self.task, seconds)

    def sleep(self, seconds):
        """Wait. Retry deferred writes meanwhile, as their thread would."""
        until = self.world.clock() + seconds
        while (left := until - self.world.clock()) > 0:
            self.stop_for(min(left, 5))
            if self.unique._context.deferred:
                self.unique._context.deferred.flush()

    def job(self, **fields):
        """Return a new job; all jobs of a simulation are equal by default."""
        return Job(**{"jobtype": "Work", "args": [1], "retry": 3, "reserve_for": 60, **fields})

    def push(self, *jobs):
        """Push jobs. Return the result of each, or None if it is not known."""
        self.owners |= {job.jid for job in jobs}
        before = self.world.checker.jobs.jids()
        try:
            results = self.producer.push_bulk(jobs).results
        except (FaktoryError, StoreError) as exc:
            results = exc.results
        self.owners |= {result.jid for result in results}
        self.world.checker.results.check(results, before)
        return results or [None] * len(jobs)

    def push_until_known(self, job, *, pause=5):
        """Push one job again and again until it, or an equal job, is known to be on the server."""
        while True:
            [result] = self.push(job)
            if result is not None and (result or result.status is PushStatus.DUPLICATE):
                return result
            self.sleep(pause)

    def work(self):
        """Work jobs until the world is over or the process is stopped."""
        while not self.dead and self._await_job():
            self.work_one()

    def work_one(self):
        """Fetch a job and run it."""
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
        reservation = Reservation(self.client, job, since, self.shutting_down)
        with self.world.checker.jobs.working(self, job):
            run_job(self.consumer, reservation, lambda: None)

    def _handle(self, jid, *_args):
        self._handler_step("handler begins")
        with self.world.checker.jobs.handling(self, jid) as attempt:
            try:
                self.world.handler(self, attempt)
            except ValueError:
                self.world.checker.jobs.on_failure(jid)
                raise
            self._handler_step("handler ends")
        self.world.checker.jobs.on_success(jid)

    def _step(self):
        if self.dead:
            raise Killed
        number = self.world.schedule.step(self.task)
        fault, self.next_fault = self.world.fault_at(number, self), None
        if fault is Fault.CRASH_BEFORE:
            self.die()
        if fault is Fault.STOP_BEFORE:
            self.stop_for(STOP_SECONDS)
        return fault

    def _handler_step(self, label):
        self._step()
        self.world.label_step(self, label)

    def _on_event(self, event):
        if not self.dead:
            self.world.checker.on_event(event)

    def _run(self):
        try:
            if self.script is None:
                self.work()
            else:
                self.script(self)
            self.unique.close()
        except Killed:
            pass
        # The library may have caught `Killed` as an exception of a handler or a middleware.
        if self.dead:
            deferred = self.unique._context.deferred
            deferred._writes.clear()
            atexit.unregister(deferred.close)
            self.world.restart(self)


class Outage:
    """A time during which something cannot be reached."""

    def __init__(self, clock):
        self._clock = clock
        self._until = 0.0

    def begin(self, seconds):
        self._until = self._clock() + seconds

    def __call__(self):
        return self._clock() < self._until


class _ShutdownEvent(threading.Event):
    """Set when the worker's grace period is over. Waiting for it takes the world's time."""

    def __init__(self, process):
        super().__init__()
        self._process = process

    def wait(self, timeout=None):
        if not self.is_set():
            self._process.sleep(timeout)
        return self.is_set()
