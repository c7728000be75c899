"""A worker in its own process: `python worker.py OUTBOX`, on the Faktory of FAKTORY_URL.

It appends each email to a file, which the test reads.
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
