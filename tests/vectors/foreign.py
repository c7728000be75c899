"""Programs in other languages that push and process jobs."""

from __future__ import annotations

import json
import os
import subprocess

from tests.patience import PATIENCE

# The TTL of the tests' locks, in seconds.
TTL = 3_600


class Foreign:
    """The programs of other languages, on the servers of a test.

    Args:
        words: `words(language)` is the command line of its program, without a command.
        environment: the variables that name the servers.
        folder: for the output of workers.
        stack: ends the workers.
    """

    def __init__(self, words, environment, folder, stack):
        self._words = words
        self.environment = {**os.environ, **environment}
        self._folder = folder
        self._stack = stack

    def push(self, language, job):
        """Push a job by the program. Return the jid of the job that is there then."""
        words = [*self._words(language), "push", json.dumps(job), str(TTL)]
        ended = subprocess.run(
            words,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if ended.returncode:
            raise ForeignError(ended.stderr)
        return ended.stdout.strip()

    def work(self, language, *jobtypes):
        """Start a worker for these jobtypes, which ends with the test. Return its output file."""
        output = self._folder / f"{language}.out"
        with output.open("wb") as out:
            words = [*self._words(language), "work", *jobtypes]
            worker = subprocess.Popen(words, env=self.environment, stdout=out, stderr=out)
        self._stack.callback(_end, worker)
        return output


def _end(worker):
    """End a worker in good order: an aborted FETCH can take the next test's job with it."""
    worker.terminate()
    try:
        assert worker.wait(PATIENCE) == 0
    finally:
        worker.kill()


class ForeignError(Exception):
    """A program ended with an error."""
