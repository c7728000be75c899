"""taskiq-deduplication: what its middleware does before a task is sent, and after it has run.

It has no calls for a lock alone. The name of the lock is given, so that it need not derive it. Left
out, which is to its advantage: `post_send`, a trip that gives the lock its full lease in place of
the first 10 s, and `pre_execute`, which starts what renews it.
"""

from __future__ import annotations

import asyncio
import sys

from taskiq import TaskiqMessage, TaskiqResult
from taskiq_deduplication import RedisDeduplicationMiddleware

from .serving import LEASE, TASK, Round, arguments, serve


def main(url: str) -> None:
    """Measure what is asked for on stdin."""
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
