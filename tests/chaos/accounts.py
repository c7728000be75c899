"""The accounts of a run: pure; facts in, numbers and named cases out."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from tests.chaos.copies import rerun_reason
from tests.chaos.fates import Fate, Fates, unfounded
from tests.chaos.lapses import overlap_reason
from tests.chaos.lives import lives
from tests.chaos.locks import blocked
from tests.chaos.places import is_replaced, ran_replaced
from tests.chaos.reasons import REASONS
from tests.chaos.settings import REPLACE, is_of
from tests.chaos.turns import at_once, held_up, missed


class Overlap(NamedTuple):
    """Two jobs of one key that live, or run, and may not; or a work that was done twice.

    Where `reason` is None, nothing explains it.
    """

    key: str
    detail: str
    reason: str | None


class Accounts:
    """What became of every job.

    Args:
        facts: of the run.
        still_there: owners of what the server still has.

    Attributes:
        accepted: works that are on the server by an answer.
        executed: those of them that came to a good end.
        superseded: those that did not, and stepped aside for one that did: see `Fate`.
        lost: those that did neither, and are not there.
        gone: those of them that the server itself has lost: see `went_with_faktory`.
        unfounded: works that stepped aside for none that Faktory has in their place.
        overlaps: see `Overlap`.
        strays: owners that no producer has pushed.
        blocked: pushes that were turned away, and nothing explains it, by work that was over.
        excluded: how often a job was put back while another of its key ran.
        held_up: those times that it was for a run that was over, and nothing explains it.
        missed: pushes that were turned away by work that began before, and never again.
    """

    def __init__(self, facts, still_there=()):
        self._facts = facts
        works = facts.works.values()
        self.accepted = [work for work in works if work.accepted is not None]
        fates = Fates(facts, still_there)
        came_to = defaultdict(list)
        for work in self.accepted:
            came_to[fates.of(work)].append(work)
        self.executed, self.superseded = came_to[Fate.DONE], came_to[Fate.ASIDE]
        self.gone, self.lost = came_to[Fate.GONE], came_to[Fate.LOST]
        self.unfounded = [work for work, _ in unfounded(facts)]
        # A Job that was replaced goes out under another name, if it does.
        self.strays = [w for w in works if not w.pushes and (w.copies or not is_of(w.key, REPLACE))]
        self.blocked = [push for push, why in blocked(facts) if why is None]
        self.excluded = sum(e["name"] == "run_blocked" for work in works for e in work.events)
        self.held_up = [event for event, why in held_up(facts) if why is None]
        self.missed = [push for push, holder in missed(facts) if fates.of(holder) is Fate.DONE]
        self.overlaps = [*self._reruns(), *self._pairs(), *self._at_once(), *self._ran_replaced()]

    @property
    def explained(self):
        """The overlaps that a stated lapse explains."""
        return [overlap for overlap in self.overlaps if overlap.reason is not None]

    @property
    def good(self):
        """Whether nothing is lost or blocked, and every overlap explained."""
        unexplained = len(self.overlaps) - len(self.explained)
        kept_away = self.blocked or self.held_up or self.missed
        return not (self.lost or self.unfounded or self.strays or kept_away or unexplained)

    def cases(self):
        """A line for each case that needs one, and one for each reason."""
        for name, works in (
            ("lost", self.lost),
            ("gone with faktory", self.gone),
            ("stepped aside for nobody", self.unfounded),
            ("stray", self.strays),
        ):
            yield from (f"{name}: owner={work.owner} key={work.key}" for work in works)
        yield from self._kept_away()
        for overlap in self.overlaps:
            if overlap.reason is None:
                yield f"unexplained overlap: key={overlap.key}: {overlap.detail}"
        reasons = Counter(overlap.reason for overlap in self.explained)
        for reason, number in sorted(reasons.items()):
            yield f"overlaps explained by {reason}: {number} ({REASONS[reason]})"

    def _kept_away(self):
        """A line for each push and each job that nothing was to keep away."""
        for push in self.blocked:
            yield f"blocked: {push.who} by owner={push.holder} key={push.key}, which was over"
        for push in self.missed:
            yield f"missed: {push.who} by owner={push.holder} key={push.key}, which had begun"
        for event in self.held_up:
            yield f"held up: jid={event['jid']} key={event['key']}: {event['detail']}, which was over"

    def last_line(self, faults, orphans, findings=0):
        """The line that says it all."""
        told = {
            "superseded": len(self.superseded),
            "run_blocked": self.excluded,
            "gone_with_faktory": len(self.gone),
            "blocked": len(self.blocked),
            "held_up": len(self.held_up),
            "missed": len(self.missed),
            "unfounded": len(self.unfounded),
            "strays": len(self.strays),
            "findings": findings,
        }
        more = "".join(f" {name}={number}" for name, number in told.items() if number)
        return (
            f"chaos: pushes={self._facts.calls} accepted={len(self.accepted)} "
            f"executed={len(self.executed)} faults={faults} lost={len(self.lost)} "
            f"overlaps={len(self.overlaps)} explained={len(self.explained)} orphans={orphans}{more}"
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
                    if other is work or is_replaced(self._facts, other, push.ended):
                        continue  # it is to step aside
                    if life.born <= push.began and life.died > push.ended:
                        told = f"owner={work.owner} was pushed while jid={life.copy.jid} of "
                        told += f"owner={other.owner} was live"
                        reason = overlap_reason(self._facts, other, life.copy, push)
                        yield Overlap(key, told, reason)

    def _at_once(self):
        """Runs of one key at one time, of those that exclude each other."""
        for (other, second), (one, first), reason in at_once(self._facts):
            told = f"jid={second.jid} of owner={other.owner} began while jid={first.jid} of "
            yield Overlap(one.key, f"{told}owner={one.owner} ran", reason)

    def _ran_replaced(self):
        """Runs of works that were replaced."""
        for work in self._facts.works.values():
            for run, reason in ran_replaced(self._facts, work):
                told = f"jid={run.jid} of owner={work.owner} ran, and was replaced"
                yield Overlap(work.key, told, reason)
