"""A consumer in a daemon thread whose job outlasts the main thread: `-m … FAKTORY START NOTES`."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from pathlib import Path

from faktory_unique import Client, Consumer
from tests.integration import handlers

if __name__ == "__main__":
    client = Client(sys.argv[1], role="consumer", worker_id="daemon-worker")
    client.connect()
    context = multiprocessing.get_context(sys.argv[2])
    consumer = Consumer(client, [sys.argv[2]], concurrency=2, context=context)
    consumer.register("Unique.note_slowly", handlers.note_slowly)
    threading.Thread(target=consumer.run, daemon=True).start()
    while not Path(sys.argv[3]).exists():
        time.sleep(0.05)
