"""Outcome of each accepted job: executed, superseded, pending, gone with Faktory, or lost."""

from __future__ import annotations

from enum import Enum

from tests.chaos.details import successor_owner
from tests.chaos.faktory_kills import owners_lost_by_kills


class Outcome(Enum):
    """The outcome of a logical job."""

    EXECUTED = "a handler ended successfully"
    SUPERSEDED = "it was dropped for its replacement, which was executed or superseded in turn"
    DEAD = "its last attempt failed"
    PENDING = "the server still has it"
    GONE_WITH_FAKTORY = "the server lost it when it was killed"
    LOST = "none of these"


class Outcomes:
    """The outcomes of logical jobs.

    Args:
        history: the run's history.
        pending_owners: the owners of the jobs that the server still has to run.
    """

    def __init__(self, history, pending_owners):
        self._history = history
        self._pending_owners = pending_owners
        self._known = {}
        missing = [
            job
            for job in history.jobs.values()
            if job.accepted_push and not job.completions and job.owner not in pending_owners
        ]
        self._lost_by_kills = owners_lost_by_kills(history, missing)

    def of(self, job):
        """Return the outcome of a logical job."""
        if job.owner not in self._known:
            # Jobs that are superseded by each other in a circle are lost, all of them.
            self._known[job.owner] = Outcome.LOST
            self._known[job.owner] = self._outcome(job)
        return self._known[job.owner]

    def _outcome(self, job):
        if job.completions:
            return Outcome.EXECUTED
        if any(report.final and report.ends_job for report in job.reports):
            return Outcome.DEAD
        if job.owner in self._pending_owners:
            return Outcome.PENDING
        successor = self._superseded_by(job)
        if successor is not None:
            outcome = self.of(successor)
            return Outcome.SUPERSEDED if outcome is Outcome.EXECUTED else outcome
        lost_by_faktory = job.owner in self._lost_by_kills
        return Outcome.GONE_WITH_FAKTORY if lost_by_faktory else Outcome.LOST

    def _superseded_by(self, job):
        """Return the job for which it was last acknowledged without a run, or None."""
        for event in reversed(job.events):
            if event["name"] == "superseded" and _was_acknowledged(job, event):
                return find_successor(self._history, job, event)
        return None


def _was_acknowledged(job, event):
    """Return whether the worker that emitted this event then sent the job's ACK."""
    return any(
        (report.type, report.process) == ("ack", event["writer"]) and report.began >= event["mono"]
        for report in job.copies[event["jid"]].reports
    )


def find_successor(history, job, event):
    """Return the job that a `superseded` event names, or None if it is no valid successor.

    A successor has the same key, its own stamp says that it replaces this job, and Faktory had
    accepted it before the event.
    """
    successor = history.jobs.get(successor_owner(event))
    if successor is None or successor.key != job.key:
        return None
    since = successor.replaced_since(job.owner)
    return successor if since is not None and since < event["mono"] else None


def unfounded_supersedes(history):
    """Yield each job and `superseded` event for which Faktory has no valid successor."""
    for job in history.jobs.values():
        for event in job.events:
            if event["name"] == "superseded" and find_successor(history, job, event) is None:
                yield job, event
