"""Reports that no worker may send: after its reservation, or a requeue under the same jid."""

from __future__ import annotations

from tests.chaos.settings import RESERVE_FOR
from tests.chaos.timing import LATE_SECONDS

# Of any other report it is known that it was not sent, or nothing is known: its worker has ended.
_SENT = {"accepted", "late", "refused", "unknown"}


def late_reports(history):
    """Yield each copy and ACK or FAIL of it that was sent when another worker could have the job.

    A report is journalled before its worker compares the time, so the stop of a worker between
    comparing and sending is no excuse that would be needed.
    """
    for job in history.jobs.values():
        for copy in job.copies.values():
            for report in copy.reports:
                fetched = [
                    fetch["mono"]
                    for fetch in copy.fetches
                    if fetch["writer"] == report.process and fetch["mono"] <= report.began
                ]
                limit = max(fetched, default=report.began) + RESERVE_FOR + LATE_SECONDS
                if report.type != "requeue" and report.status in _SENT and report.began >= limit:
                    yield copy, report


def copies_of_themselves(history):
    """Yield each copy that was requeued under its own jid: two jobs have one reservation."""
    for job in history.jobs.values():
        for copy in job.copies.values():
            if any(fetch["parent"] == copy.jid for fetch in copy.fetches):
                yield copy
