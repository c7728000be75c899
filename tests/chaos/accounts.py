"""The accounts of a run: pure; facts in, numbers and named cases out."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from tests.chaos.copies import rerun_reason
from tests.chaos.lapses import overlap_reason
from tests.chaos.lives import lives
from tests.chaos.locks import blocked
from tests.chaos.reasons import REASONS

# The delay of a put-back, a tick of the promotion, and some time in the queue.
_COPY_WAITING = 15.0


class Overlap(NamedTuple):
    """Two live jobs of one key, or a work that was done twice; `reason` is None: unexplained."""

    key: str
    told: str
    reason: str | None


class Accounts:
    """What became of every job.

    Args:
        facts: of the run.
        still_there: owners of what the server still has.

    Attributes:
        accepted: works that are on the server by an answer.
        executed: those of them that came to a good end.
        lost: those that did not, and are not there.
        gone: those of them that the server itself has lost: see `_went_with_faktory`.
        overlaps: see `Overlap`.
        strays: owners that no producer has pushed.
        blocked: pushes that were turned away, and nothing explains it, by work that was over.
    """

    def __init__(self, facts, still_there=()):
        self._facts = facts
        works = facts.works.values()
        self.accepted = [work for work in works if work.accepted is not None]
        self.executed = [work for work in self.accepted if work.done]
        missing = [w for w in self.accepted if not w.done and w.owner not in still_there]
        self.gone = [work for work in missing if _went_with_faktory(facts, work)]
        self.lost = [work for work in missing if work not in self.gone]
        self.strays = [work for work in works if not work.pushes]
        self.blocked = [push for push, why in blocked(facts) if why is None]
        self.overlaps = [*self._reruns(), *self._pairs()]

    @property
    def explained(self):
        """The overlaps that a stated lapse explains."""
        return [overlap for overlap in self.overlaps if overlap.reason is not None]

    @property
    def good(self):
        """Whether nothing is lost or blocked, and every overlap explained."""
        unexplained = len(self.overlaps) - len(self.explained)
        return not (self.lost or self.strays or self.blocked or unexplained)

    def cases(self):
        """A line for each case that needs one, and one for each reason."""
        for work in self.lost:
            yield f"lost: owner={work.owner} key={work.key}"
        for work in self.gone:
            yield f"gone with faktory: owner={work.owner} key={work.key}"
        for work in self.strays:
            yield f"stray: owner={work.owner} key={work.key}"
        for push in self.blocked:
            yield f"blocked: {push.who} by owner={push.holder} key={push.key}, which was over"
        for overlap in self.overlaps:
            if overlap.reason is None:
                yield f"unexplained overlap: key={overlap.key}: {overlap.told}"
        reasons = Counter(overlap.reason for overlap in self.explained)
        for reason, number in sorted(reasons.items()):
            yield f"overlaps explained by {reason}: {number} ({REASONS[reason]})"

    def last_line(self, faults, orphans, findings=0):
        """The line that says it all."""
        gone = f" gone_with_faktory={len(self.gone)}" if self.gone else ""
        gone += f" blocked={len(self.blocked)}" if self.blocked else ""
        gone += f" strays={len(self.strays)}" if self.strays else ""
        gone += f" findings={findings}" if findings else ""
        return (
            f"chaos: pushes={self._facts.calls} accepted={len(self.accepted)} "
            f"executed={len(self.executed)} faults={faults} lost={len(self.lost)} "
            f"overlaps={len(self.overlaps)} explained={len(self.explained)} orphans={orphans}{gone}"
        )

    def _reruns(self):
        """Works that came to a good end more than once."""
        for work in self._facts.works.values():
            ends = work.done
            for place, later in enumerate(ends[1:], 1):
                reasons = [rerun_reason(self._facts, work, e, later) for e in ends[:place]]
                told = f"owner={work.owner} done again as jid={later[0].jid}"
                yield Overlap(work.key, told, next(filter(None, reasons), None))

    def _pairs(self):
        """Jobs that were accepted while another of their key was surely live."""
        by_key = defaultdict(list)
        for work in self._facts.works.values():
            by_key[work.key].append(work)
        for key, works in by_key.items():
            living = [(work, life) for work in works for life in lives(work)]
            for work in works:
                push = work.accepted
                if push is None:
                    continue
                for other, life in living:
                    if other is not work and life.born <= push.began and life.died > push.ended:
                        told = f"owner={work.owner} was pushed while jid={life.copy.jid} of "
                        told += f"owner={other.owner} was live"
                        reason = overlap_reason(self._facts, other, life.copy, push)
                        yield Overlap(key, told, reason)


def _went_with_faktory(facts, work):
    """Whether a Faktory that got SIGKILL has lost the job between two places of its storage.

    It had been accepted before and was in no place of the storage when the server stood still; no
    ACK of it had been sent, but for that of a put-back whose copy could still be waiting; and
    nothing was seen of it later.
    """
    return any(
        work.accepted.ended < kill["began"]
        and work.owner not in kill["owners"]
        and not _acked_before(work, kill["began"])
        and all(copy.seen < kill["began"] for copy in work.copies.values())
        for kill in facts.kills
    )


def _acked_before(work, when):
    latest = {"ack": when, "put_back": when - _COPY_WAITING}
    reports = [report for copy in work.copies.values() for report in copy.reports]
    return any(r.what in latest and r.began < latest[r.what] for r in reports)
