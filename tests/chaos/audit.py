"""Audit of a chaos run: lost jobs, overlaps, blocked pushes, and the last line of the output.

The audit is pure: it reads a `History`, and returns numbers and lines.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from tests.chaos.exclusion import concurrent_runs, missed_pushes, requeues_for_ended_runs
from tests.chaos.lifetimes import lifetimes
from tests.chaos.orphans import pushes_blocked_by_ended_jobs
from tests.chaos.outcomes import Outcome, Outcomes, unfounded_supersedes
from tests.chaos.overlaps import overlap_reason
from tests.chaos.reasons import REASONS
from tests.chaos.replacement import is_replaced, runs_after_replacement
from tests.chaos.reports import copies_of_themselves, late_reports
from tests.chaos.reruns import rerun_reason
from tests.chaos.settings import REPLACE, has_jobtype


class Overlap(NamedTuple):
    """Two jobs of one key that were live, or ran, at the same time; or a job that ran twice.

    Attributes:
        key: the lock key.
        detail: the two jobs.
        reason: the explanation, one of `REASONS`; None if there is none.
    """

    key: str
    detail: str
    reason: str | None


class Audit:
    """The outcome of every job.

    The names of the attributes are those of the last line: see docs/guarantees.md §5.

    Args:
        history: the run's history.
        pending_owners: the owners of the jobs that the server still has to run.

    Attributes:
        accepted: jobs of which a push was accepted.
        executed: accepted jobs of which a handler ended successfully.
        superseded: accepted jobs that were dropped for one that was executed.
        lost: accepted jobs that were neither, and are not on the server.
        gone_with_faktory: jobs that Faktory itself lost: see `faktory_kills`.
        unfounded: jobs that were dropped without a valid successor.
        overlaps: see `Overlap`.
        strays: jobs that no producer has pushed.
        blocked: pushes that were duplicates of a job that was over, or of none, unexplained.
        run_blocked: how often a job was requeued while another of its key ran.
        held_up: events of requeues for a run that was over, or for none, unexplained.
        missed: pushes that were duplicates of a job that had begun and did not run again.
        dead: accepted jobs of which the last attempt failed.
        late: ACKs and FAILs that were sent when the reservation was over.
        same_jid: copies that were requeued under the jid of their job.
    """

    def __init__(self, history, pending_owners=()):
        self._history = history
        jobs = history.jobs.values()
        self.accepted = [job for job in jobs if job.accepted_push is not None]
        outcomes = Outcomes(history, pending_owners)
        by_outcome = defaultdict(list)
        for job in self.accepted:
            by_outcome[outcomes.of(job)].append(job)
        self.executed = by_outcome[Outcome.EXECUTED]
        self.superseded = by_outcome[Outcome.SUPERSEDED]
        self.gone_with_faktory = by_outcome[Outcome.GONE_WITH_FAKTORY]
        self.lost = by_outcome[Outcome.LOST]
        self.dead = by_outcome[Outcome.DEAD]
        self.late = list(late_reports(history))
        self.same_jid = list(copies_of_themselves(history))
        self.unfounded = [job for job, _ in unfounded_supersedes(history)]
        # A Job that was replaced is sent under another owner, if it is sent at all.
        self.strays = [
            job
            for job in jobs
            if not job.pushes and (job.copies or not has_jobtype(job.key, REPLACE))
        ]
        self.blocked = _unexplained(pushes_blocked_by_ended_jobs(history))
        self.run_blocked = sum(e["name"] == "run_blocked" for job in jobs for e in job.events)
        self.held_up = _unexplained(requeues_for_ended_runs(history))
        self.missed = [
            push
            for push, holder in missed_pushes(history)
            if outcomes.of(holder) is Outcome.EXECUTED
        ]
        self.overlaps = [
            *_reruns(history),
            *_live_pairs(history),
            *_concurrent_runs(history),
            *_runs_after_replacement(history),
        ]

    @property
    def explained(self):
        """The overlaps that a stated lapse explains."""
        return [overlap for overlap in self.overlaps if overlap.reason is not None]

    @property
    def passed(self):
        """Whether no job is lost or blocked, and every overlap is explained."""
        has_unexplained = len(self.overlaps) > len(self.explained)
        wrong_jobs = self.lost or self.unfounded or self.strays or self.late or self.same_jid
        return not (wrong_jobs or self.blocked or self.held_up or self.missed or has_unexplained)

    def lines(self):
        """Yield a line for each case to look at, and one for each reason."""
        yield from self.damage()
        for job in self.gone_with_faktory:
            yield f"gone with faktory: owner={job.owner} key={job.key}"
        reasons = Counter(overlap.reason for overlap in self.explained)
        for reason, number in sorted(reasons.items()):
            yield f"overlaps explained by {reason}: {number} ({REASONS[reason]})"

    def damage(self):
        """Yield a line for each case that fails the run."""
        for name, jobs in (
            ("lost", self.lost),
            ("superseded by no job", self.unfounded),
            ("stray", self.strays),
        ):
            yield from (f"{name}: owner={job.owner} key={job.key}" for job in jobs)
        for push in self.blocked:
            yield f"blocked: {push.process} by owner={push.holder} key={push.key}, which was over"
        for push in self.missed:
            yield f"missed: {push.process} by owner={push.holder} key={push.key}, which had begun"
        for copy, report in self.late:
            yield f"late report: {report.process} sent {report.type} of jid={copy.jid}"
        for copy in self.same_jid:
            yield f"same jid: jid={copy.jid} was requeued as itself"
        for event in self.held_up:
            where = f"jid={event['jid']} key={event['key']}"
            yield f"held up: {where}: {event['detail']}, which was over"
        for overlap in self.overlaps:
            if overlap.reason is None:
                yield f"unexplained overlap: key={overlap.key}: {overlap.detail}"

    def last_line(self, faults, orphans, findings=0):
        """Return the summary. The fields after `orphans` are left out if they are 0."""
        optional = {
            "superseded": len(self.superseded),
            "run_blocked": self.run_blocked,
            "gone_with_faktory": len(self.gone_with_faktory),
            "dead": len(self.dead),
            "late": len(self.late),
            "same_jid": len(self.same_jid),
            "blocked": len(self.blocked),
            "held_up": len(self.held_up),
            "missed": len(self.missed),
            "unfounded": len(self.unfounded),
            "strays": len(self.strays),
            "findings": findings,
        }
        more = "".join(f" {name}={number}" for name, number in optional.items() if number)
        return (
            f"chaos: pushes={self._history.push_count} accepted={len(self.accepted)} "
            f"executed={len(self.executed)} faults={faults} lost={len(self.lost)} "
            f"overlaps={len(self.overlaps)} explained={len(self.explained)} orphans={orphans}{more}"
        )


def _unexplained(cases):
    return [case for case, explanation in cases if explanation is None]


def _reruns(history):
    """Yield the jobs that ended successfully more than once."""
    for job in history.jobs.values():
        ends = job.completions
        for place, later in enumerate(ends[1:], 1):
            reasons = [rerun_reason(history, job, earlier, later) for earlier in ends[:place]]
            detail = f"owner={job.owner} done again as jid={later[0].jid}"
            yield Overlap(job.key, detail, next(filter(None, reasons), None))


def _live_pairs(history):
    """Yield the jobs that were accepted while another of their key was certainly live."""
    by_key = defaultdict(list)
    for job in history.jobs.values():
        by_key[job.key].append(job)
    for key, jobs in by_key.items():
        live = [(job, lifetime) for job in jobs for lifetime in lifetimes(job)]
        for job in jobs:
            push = job.accepted_push
            if push is None:
                continue
            for other, lifetime in live:
                if other is job or is_replaced(history, other, push.ended):
                    continue  # a replaced job will be dropped
                # A job that had the lock first keeps it, also if it is accepted a moment later.
                since = push.ended if other.acquired_before(push) else push.began
                if lifetime.began <= since and lifetime.ended > push.ended:
                    detail = f"owner={job.owner} was pushed while jid={lifetime.copy.jid} of "
                    detail += f"owner={other.owner} was live"
                    reason = overlap_reason(history, other, lifetime.copy, push)
                    yield Overlap(key, detail, reason)


def _concurrent_runs(history):
    """Yield the exclusive runs of one key at the same time."""
    for (other, second), (job, first), reason in concurrent_runs(history):
        detail = f"jid={second.jid} of owner={other.owner} began while jid={first.jid} of "
        yield Overlap(job.key, f"{detail}owner={job.owner} ran", reason)


def _runs_after_replacement(history):
    """Yield the runs of jobs that were replaced."""
    for job in history.jobs.values():
        for run, reason in runs_after_replacement(history, job):
            detail = f"jid={run.jid} of owner={job.owner} ran after it was replaced"
            yield Overlap(job.key, detail, reason)
