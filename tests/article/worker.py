"""A worker in a process of its own: `python worker.py OUTBOX`, on the Faktory of FAKTORY_URL.

What it sends it appends to a file, for the process of the test to read.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from faktory_unique import Client, Consumer


def send_email(outbox, user_id, template_name):
    with Path(outbox).open("a", encoding="utf-8") as file:
        file.write(f"{template_name} to {user_id}\n")


if __name__ == "__main__":
    with Client(role="consumer") as client:
        consumer = Consumer(client, concurrency=1)
        consumer.register("EmailNotification", partial(send_email, sys.argv[1]))
        consumer.run()
