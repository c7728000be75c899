"""Worker processes that do the same at the same time, for a fixed time, and tell how often.

They are started once and wait between windows, so that no window has another's start in it. They
end with their parent, however that ends: what they wait on is a pipe whose other end it holds.
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

from .ground import JOB, POLICY

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Step: TypeAlias = Callable[[Iterator[str]], int]  # uses up some keys, and tells how many
Load: TypeAlias = Callable[[str], Step]  # opens what all threads of a process share

LEAD = 0.02  # seconds from the word until all start, by which each has read it
PATIENCE = 30  # seconds for a worker to start, and to answer


class Window(NamedTuple):
    """What was done in a window.

    Attributes:
        done: the operations of all workers.
        seconds: from the common start until the last of them had ended.
        workers_cpu: seconds of CPU that the workers took, all together.
    """

    done: int
    seconds: float
    workers_cpu: float


class Crowd:
    """So many worker processes.

    Args:
        url: what a load is given to open.
        size: how many; a window may have fewer.

    Raises:
        RuntimeError: on any use, when a worker has ended or does not answer.
    """

    def __init__(self, url: str, size: int) -> None:
        context = get_context("spawn")
        self._lines: list[Connection] = []
        self._processes = []
        try:
            for number in range(size):
                ours, theirs = context.Pipe()
                self._lines.append(ours)
                process = context.Process(target=_work, args=(url, number, theirs), daemon=True)
                process.start()
                self._processes.append(process)
                theirs.close()  # so that a worker's end is the end of the line
        except BaseException:  # a Ctrl-C too: those that were started do not stay
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def prepare(self, load: Load, processes: int, threads: int) -> None:
        """Have so many workers connected, each about to start so many threads."""
        with _all_alive():
            for line in self._lines[:processes]:
                line.send((load, threads))
            for line in self._lines[:processes]:
                _answer(line)

    def go(self, processes: int, seconds: float) -> Window:
        """Have these workers, all prepared, do it from one instant on, for so long."""
        with _all_alive():
            start = monotonic() + LEAD
            for line in self._lines[:processes]:
                line.send((start, start + seconds))
            done, ends, cpu = zip(*map(_answer, self._lines[:processes]), strict=True)
        return Window(sum(done), max(ends) - start, sum(cpu))

    def close(self) -> None:
        """End the workers, whatever they are at."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for line in self._lines:
            line.close()


@contextmanager
def _all_alive() -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError):
        raise RuntimeError("a worker has ended; what it could say of it is on stderr") from None


def _answer(line: Connection) -> Any:  # noqa: ANN401  # each order has an answer of its own type
    if not line.poll(PATIENCE):
        raise RuntimeError(f"a worker has not answered for {PATIENCE} s")
    return line.recv()


def _work(url: str, number: int, line: Connection) -> None:
    """Do windows until the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the parent who is interrupted
    opened: Callable[[Load], Step] = cache(lambda load: load(url))
    gc.disable()
    with suppress(EOFError, ConnectionError):
        while True:
            load, threads = line.recv()
            step = opened(load)
            step(_keys(number, threads))  # connects; it is flushed before the start
            gc.collect()
            line.send(None)
            start, end = line.recv()
            used = process_time()
            with ThreadPoolExecutor(threads) as pool:
                rushes = [
                    pool.submit(_rush, step, _keys(number, thread), start, end)
                    for thread in range(threads)
                ]
            done, ends = zip(*(rush.result() for rush in rushes), strict=True)
            line.send((sum(done), max(ends), process_time() - used))


def _rush(step: Step, keys: Iterator[str], start: float, end: float) -> tuple[int, float]:
    """Do it until the time is over; how often, and when the last was done."""
    sleep(max(0, start - monotonic()))
    done = 0
    while (now := monotonic()) < end:
        done += step(keys)
    return done, now


def _keys(number: int, thread: int) -> Iterator[str]:
    """Keys that no other worker or thread has; made within the time, a tenth of a µs each."""
    beginning = lock_key(POLICY, {**JOB, "args": [number, thread]})
    return (f"{beginning}{n}" for n in count())
