"""Real Redis and Faktory servers for tests and benchmarks: on loopback, each in its own folder."""

from .available import faktory_binary, missing_faktory, missing_redis, old_redis_binary
from .faktory import FaktoryServer
from .guard import guard_children
from .process import HOST, TIMEOUT, Server, ServerError, free_port, is_running
from .redis import RedisServer, redis_pid

__all__ = [
    "HOST",
    "TIMEOUT",
    "FaktoryServer",
    "RedisServer",
    "Server",
    "ServerError",
    "faktory_binary",
    "free_port",
    "guard_children",
    "is_running",
    "missing_faktory",
    "missing_redis",
    "old_redis_binary",
    "redis_pid",
]
