"""A consumer that prints the pids of its child processes: `-m … FAKTORY START`.

START is the multiprocessing start method, and the name of its queue.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys

from faktory_unique import Client, Consumer
from faktory_unique.worker.consumer_run import ConsumerRun
from tests.integration import handlers

if __name__ == "__main__":
    with Client(sys.argv[1], role="consumer", worker_id="killed-worker") as client:
        context = multiprocessing.get_context(sys.argv[2])
        consumer = Consumer(client, [sys.argv[2]], concurrency=3, context=context)
        consumer.register("Unique.note_slowly", handlers.note_slowly)
        start = ConsumerRun.start

        def start_and_print(run):
            start(run)
            pids = [child._running.process.pid for child in run.pool._processes]
            sys.stdout.write(f"{json.dumps(pids)}\n")
            sys.stdout.flush()

        ConsumerRun.start = start_and_print
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # for signals that come after the run
        consumer.run()
