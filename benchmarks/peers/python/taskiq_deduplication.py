"""taskiq-deduplication: its middleware's calls before a task is sent, and after it has run.

It has no calls for a lock alone. The key is given, so it need not derive one. Left out, to its
advantage: `post_send`, a round trip that extends the lock from 10 s to its full lease, and
`pre_execute`, which starts the renewal.
"""

from __future__ import annotations

import asyncio
import sys

from taskiq import TaskiqMessage, TaskiqResult
from taskiq_deduplication import RedisDeduplicationMiddleware

from .harness import LEASE, TASK, Round, arguments, serve


def main(url: str) -> None:
    """Run the operations that are requested on stdin."""
    middleware = RedisDeduplicationMiddleware(url, default_ttl=LEASE)
    result = TaskiqResult(is_err=False, return_value=None, execution_time=0.0)

    async def take_release(count: int) -> float:
        messages = [_message(args) for args in arguments(count)]
        keys = [f"{middleware.key_prefix}:{message.task_id}" for message in messages]
        with Round(url, keys) as timed:
            for message in messages:
                await middleware.pre_send(message)
                await middleware.post_execute(message, result)
        return timed.seconds

    with asyncio.Runner() as runner:
        runner.run(middleware.startup())
        serve(lambda count: runner.run(take_release(count)))
        runner.run(middleware.shutdown())


def _message(args: list[object]) -> TaskiqMessage:
    name = f"{TASK}-{args[0]}"
    labels = {"deduplication_key": name}
    return TaskiqMessage(task_id=name, task_name=TASK, labels=labels, args=args, kwargs={})


if __name__ == "__main__":
    main(*sys.argv[1:])
