"""Programs in other languages, which push jobs and work them."""

from __future__ import annotations

import json
import os
import subprocess

# Seconds that the locks of the tests live.
TTL = 3_600


class Foreign:
    """The programs of other languages, on the servers of a test.

    Args:
        words: `words(language)`: the command line of its program, without its command.
        environment: where the servers are.
        folder: for what workers print.
        stack: ends the workers.
    """

    def __init__(self, words, environment, folder, stack):
        self._words = words
        self.environment = {**os.environ, **environment}
        self._folder = folder
        self._stack = stack

    def push(self, language, job):
        """The jid of the job that is there once the program has pushed."""
        words = [*self._words(language), "push", json.dumps(job), str(TTL)]
        ended = subprocess.run(
            words,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if ended.returncode:
            raise ForeignError(ended.stderr)
        return ended.stdout.strip()

    def work(self, language, *jobtypes):
        """A worker that works jobs of these types until the test is over; the file it prints to."""
        told = self._folder / f"{language}.out"
        with told.open("wb") as out:
            words = [*self._words(language), "work", *jobtypes]
            worker = subprocess.Popen(words, env=self.environment, stdout=out, stderr=out)
        self._stack.callback(_end, worker)
        return told


def _end(worker):
    """In good order: a FETCH that is cut off can take the next test's job along."""
    worker.terminate()
    try:
        assert worker.wait(20) == 0
    finally:
        worker.kill()


class ForeignError(Exception):
    """A program ended with an error."""
