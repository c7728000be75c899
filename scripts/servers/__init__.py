"""Real servers for the tests, the demo and the benchmarks, on loopback, in folders of their own."""

from .available import faktory_binary, missing_faktory, missing_redis, old_redis_binary
from .faktory import FaktoryServer
from .process import HOST, PATIENCE, Server, ServerError, free_port, is_running
from .redis import RedisServer, redis_pid

__all__ = [
    "HOST",
    "PATIENCE",
    "FaktoryServer",
    "RedisServer",
    "Server",
    "ServerError",
    "faktory_binary",
    "free_port",
    "is_running",
    "missing_faktory",
    "missing_redis",
    "old_redis_binary",
    "redis_pid",
]
