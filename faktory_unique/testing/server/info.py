"""The reply to INFO: counts, queue sizes, tasks, version (server/server.go:424-482)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .go_time import format_time

if TYPE_CHECKING:
    from .core import Core

VERSION = "1.10.0"


def info(core: Core) -> dict[str, Any]:
    """Return the data of INFO, with the server's names in its order."""
    manager = core.manager
    queues = {name: len(payloads) for name, payloads in manager.queues}
    return {
        "now": format_time(core.now()),
        "server_utc_time": core.clock.now().strftime("%H:%M:%S UTC"),
        "faktory": {
            "queues": dict(sorted(queues.items())),
            "sets": {
                "dead": len(manager.dead),
                "retries": len(manager.retries),
                "scheduled": len(manager.scheduled),
                "working": len(manager.working),
            },
            "tasks": _tasks(core),
            "total_failures": manager.failures,
            "total_processed": manager.processed,
            "total_enqueued": sum(queues.values()),
            "total_queues": len(queues),
        },
        "server": {
            "description": "Faktory",
            "faktory_version": VERSION,
            "uptime": int(core.clock() - core.started),
            "connections": len(core.connections),
            "command_count": core.command_count,
            "used_memory_mb": 0,
        },
    }


def _tasks(core: Core) -> dict[str, dict[str, float]]:
    manager = core.manager
    timed = {"Dead": manager.dead, "Retries": manager.retries, "Scheduled": manager.scheduled}
    tasks: dict[str, dict[str, float]] = {
        # Its size is that of the map in memory, from which the working set can differ.
        "Busy": {"reaped": core.task_counts["Busy"], "size": len(manager.reservations)},
        "Workers": {"reaped": core.task_counts["Workers"], "size": len(core.workers)},
    }
    for name, timed_set in timed.items():
        period = core.tasks[name][0]
        tasks[name] = {
            "cycles": core.last_task_second // period - int(core.started) // period,
            "enqueued": core.task_counts[name],
            "size": len(timed_set),
            "wall_time_sec": 0,
        }
    return dict(sorted(tasks.items()))
