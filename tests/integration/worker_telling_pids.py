"""A consumer that tells the pids of its processes: `-m … FAKTORY START`.

START is how they are started, and its queue.
"""

from __future__ import annotations

import json
import multiprocessing
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

        def tell(shift):
            start(shift)
            pids = [process._life.process.pid for process in shift.processes._all]
            sys.stdout.write(f"{json.dumps(pids)}\n")
            sys.stdout.flush()

        ConsumerRun.start = tell
        consumer.run()
