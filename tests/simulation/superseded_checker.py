"""Checks of superseded jobs: each was replaced by an accepted job, and a newer job ran."""

from __future__ import annotations

from itertools import count

from tests.simulation.work import LateSender


class SupersededChecker:
    """The checks of all replaced jobs of one world.

    Args:
        checker: the checker of the world.
    """

    def __init__(self, checker):
        self._checker = checker
        self._sequence = count()
        self._accepted_at = {}
        self._started_at = {}
        self._dropped_jobs = []
        self._replaced_at_fetch = set()

    def next_sequence(self):
        """Return the next number of a sequence, which orders events at the same clock time."""
        return next(self._sequence)

    def on_accepted(self, jid, actor):
        """Record that a job was accepted. A requeued copy is as old as the job that it copies."""
        original = actor.current_job["jid"] if actor.current_job is not None else None
        since = actor.since if isinstance(actor, LateSender) else self.next_sequence()
        self._accepted_at[jid] = self._accepted_at.get(original, since)

    def on_fetched(self, jid, work):
        """Record that a worker has fetched a job."""
        if work.replaced:
            self._replaced_at_fetch.add(jid)

    def on_start(self, jid, work):
        """Check that a job that a handler starts was not replaced before it was fetched."""
        self._started_at[work.owner] = self.next_sequence()
        if jid in self._replaced_at_fetch and not self._checker.fault_log.hit_any(
            work.processes_involved
        ):
            self._checker.add_breach(
                "superseded", f"{jid} runs, and was replaced before it was fetched"
            )

    def on_dropped(self, jid, work):
        """Check that a job acknowledged without a run was replaced by an accepted job."""
        work.lapse_must_be_reported = False
        if any(other.replaces == work.owner for other in self._checker.works.values()):
            self._dropped_jobs.append((jid, work.owner, self._accepted_at[jid]))
        else:
            self._checker.add_breach("lost", f"{jid} was acknowledged and never done")

    def lost_jids(self):
        """Return the jids of superseded jobs for which no newer job ran."""
        return [
            jid
            for jid, owner, since in self._dropped_jobs
            if not self._successor_ran(owner, since, set())
        ]

    def _successor_ran(self, owner, since, visited):
        """Return whether a job that replaces this owner's was started since, or died."""
        visited.add(owner)
        for work in self._checker.works.values():
            if work.replaces == owner and work.owner not in visited:
                if self._started_at.get(work.owner, -1) > since or work.died:
                    return True
                if self._successor_ran(work.owner, since, visited):
                    return True
        return False
