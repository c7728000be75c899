"""Load generator: processes that run the same load at the same time, for a fixed time, and count.

The processes start once and wait between windows, so that no window includes a start. They end with
their parent, even if it is killed: they wait on a pipe, and the parent holds its other end.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from multiprocessing import get_context
from time import monotonic, process_time, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

from faktory_unique.locks.keys import lock_key

from .redis_setup import JOB, POLICY

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Step: TypeAlias = Callable[[Iterator[str]], int]  # uses some keys, and returns their number
Load: TypeAlias = Callable[[str], Step]  # opens the objects that all threads of a process share

LEAD_SECONDS = 0.02  # until the common start, when every process has read the order
TIMEOUT = 30  # seconds for a process to start, and to reply


class Window(NamedTuple):
    """The result of one window.

    Attributes:
        operations: those of all processes.
        seconds: from the common start until the last process was done.
        workers_cpu: CPU seconds of all processes together.
    """

    operations: int
    seconds: float
    workers_cpu: float


class LoadGenerator:
    """A number of processes that run a load.

    Args:
        url: passed to the load, which opens it.
        size: the number of processes; a window may use fewer.

    Raises:
        RuntimeError: on any use, if a process has ended or does not reply.
    """

    def __init__(self, url: str, size: int) -> None:
        context = get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        try:
            for number in range(size):
                ours, theirs = context.Pipe()
                self._pipes.append(ours)
                process = context.Process(target=_serve, args=(url, number, theirs), daemon=True)
                process.start()
                self._processes.append(process)
                theirs.close()  # so that the pipe ends with the process
        except BaseException:  # a Ctrl-C too: the started processes must end
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def prepare(self, load: Load, processes: int, threads: int) -> None:
        """Connect this many processes, each ready to start this many threads."""
        with _processes_alive():
            for pipe in self._pipes[:processes]:
                pipe.send((load, threads))
            for pipe in self._pipes[:processes]:
                _receive(pipe)

    def run(self, processes: int, seconds: float) -> Window:
        """Run the load in these prepared processes, from one instant on, for some seconds."""
        with _processes_alive():
            start = monotonic() + LEAD_SECONDS
            for pipe in self._pipes[:processes]:
                pipe.send((start, start + seconds))
            counts, ends, cpu = zip(*map(_receive, self._pipes[:processes]), strict=True)
        return Window(sum(counts), max(ends) - start, sum(cpu))

    def close(self) -> None:
        """Kill the processes."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for pipe in self._pipes:
            pipe.close()


@contextmanager
def _processes_alive() -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError):
        raise RuntimeError("a process of the load generator has ended; see stderr") from None


def _receive(pipe: Connection) -> Any:  # noqa: ANN401  # each order has a reply of its own type
    if not pipe.poll(TIMEOUT):
        raise RuntimeError(f"a process of the load generator has not replied for {TIMEOUT} s")
    return pipe.recv()


def _serve(url: str, number: int, pipe: Connection) -> None:
    """Run windows until the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    opened: Callable[[Load], Step] = cache(lambda load: load(url))
    gc.disable()
    with suppress(EOFError, ConnectionError):
        while True:
            load, threads = pipe.recv()
            step = opened(load)
            step(_keys(number, threads))  # connects; these keys are flushed before the start
            gc.collect()
            pipe.send(None)
            start, end = pipe.recv()
            cpu_before = process_time()
            with ThreadPoolExecutor(threads) as pool:
                futures = [
                    pool.submit(_repeat, step, _keys(number, thread), start, end)
                    for thread in range(threads)
                ]
            counts, ends = zip(*(future.result() for future in futures), strict=True)
            pipe.send((sum(counts), max(ends), process_time() - cpu_before))


def _repeat(step: Step, keys: Iterator[str], start: float, end: float) -> tuple[int, float]:
    """Repeat a step until the end; return the operations, and when the last one was done."""
    sleep(max(0, start - monotonic()))
    operations = 0
    while (now := monotonic()) < end:
        operations += step(keys)
    return operations, now


def _keys(number: int, thread: int) -> Iterator[str]:
    """Yield keys that no other process or thread has; each takes a tenth of a µs of the window."""
    prefix = lock_key(POLICY, {**JOB, "args": [number, thread]})
    return (f"{prefix}{n}" for n in count())
