"""Texts of `Event.detail` that the chaos audit reads, as constants and predicates.

The library writes these texts in `faktory_unique/unique`: run_lock, job_lock, lock_request and
chunk_locks. Nothing else in tests/chaos contains their wording. An event is a journal entry: a dict
with the key `detail`.
"""

from __future__ import annotations

RUN_LOCK_ERROR = "run lock"
"""Start of a `store_error`: the run lock could not be released."""

FETCH_ERROR = "FETCH"
"""Start of a `store_error`: the lock write at FETCH failed."""

REQUEUE_ERROR = "REQUEUE"
"""Start of a `store_error`: the lock write at a requeue failed."""

ACK_ERROR = "ACK:"
"""Start of a `store_error`: the release of the lock after ACK failed."""

FAIL_ERROR = "FAIL:"
"""Start of a `store_error`: the lock write after FAIL failed."""

DEFERRED = "; applied once the store is back"
"""End of a `store_error`: the lock write is deferred."""

NOT_CONNECTED = "connecting to"
"""Part of a `store_error`: there was no connection, so nothing was sent."""

IS_LEASED = " has the lock, and cannot be replaced before its push is confirmed"
"""End of an `unguarded`, after the owner of a lease that the job cannot replace."""

REPLACES = "replaces "
"""Start of a `confirmed`, before the owner of the replaced job."""

RUN_LOCK_LAPSED = "the run lock lapsed before it was held"
"""Text of a `run_blocked` that names no job."""

REPLACED_BY = "replaced by "
"""Start of a `superseded`, before the owner of the successor."""

ALSO_REPLACED = "has replaced"
"""Part of a `lapsed`: another job replaced the same job first."""


def is_run_lock_error(event):
    """Return whether the event says that the release of a run lock failed."""
    return event["detail"].startswith(RUN_LOCK_ERROR)


def is_fetch_error(event):
    """Return whether the event says that the lock write at FETCH failed."""
    return event["detail"].startswith(FETCH_ERROR)


def is_requeue_error(event):
    """Return whether the event says that the lock write at a requeue failed."""
    return event["detail"].startswith(REQUEUE_ERROR)


def is_report_error(event, type_):
    """Return whether the event says that the lock write after "ack" or "fail" failed."""
    return event["detail"].startswith({"ack": ACK_ERROR, "fail": FAIL_ERROR}[type_])


def is_fail_error(event):
    """Return whether the event says that the lock write after FAIL failed."""
    return event["detail"].startswith(FAIL_ERROR)


def is_push_error(event):
    """Return whether the event says that a confirm failed: such an event names no step."""
    steps = (FETCH_ERROR, ACK_ERROR, FAIL_ERROR, REQUEUE_ERROR, RUN_LOCK_ERROR)
    return not event["detail"].startswith(steps)


def leased_owner(event):
    """Return the owner of the lease that kept an `unguarded` job from replacing it, or None."""
    owner, is_leased, _ = event["detail"].partition(IS_LEASED)
    return owner if is_leased else None


def was_deferred(event):
    """Return whether the event says that the failed lock write is deferred."""
    return event["detail"].endswith(DEFERRED)


def was_not_sent(event):
    """Return whether the event says that the store's connection failed before any write."""
    return NOT_CONNECTED in event["detail"]


def says_replaced(event):
    """Return whether a `confirmed` event says that the job has replaced another."""
    return event["detail"].startswith(REPLACES)


def names_replaced(event, owner):
    """Return whether a `confirmed` event names this owner as the replaced job."""
    return event["detail"].endswith(owner)


def says_also_replaced(event):
    """Return whether a `lapsed` event says that another job replaced the same job first."""
    return ALSO_REPLACED in event["detail"]


def successor_owner(event):
    """Return the owner that a `superseded` event names as the successor."""
    return event["detail"].removeprefix(REPLACED_BY)


def run_blocked_detail(jid):
    """Return the text of a `run_blocked` event while this job runs."""
    return f"{jid} runs"


def says_run_lock_lapsed(event):
    """Return whether a `run_blocked` event says that the job's own run lock lapsed."""
    return event["detail"] == RUN_LOCK_LAPSED


def running_jid(event):
    """Return the jid of the running job that a `run_blocked` event names."""
    return event["detail"].split()[0]
