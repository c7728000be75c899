"""The transition of a job's lock at each step: `python -m tests.vectors.life` writes life.json.

For workers in other languages: docs/key-format.md §6, in numbers.
"""

from __future__ import annotations

import json
from pathlib import Path

from faktory_unique.locks.lifecycle import Step, transition_for
from faktory_unique.locks.stamp import read_stamp

FILE = Path(__file__).with_name("life.json")

# The names in the file, which never change: PUT_BACK is a requeue, with its delay.
STEPS = ["FETCH", "ACK", "ACK_LATE", "FAIL", "PUT_BACK 0", "PUT_BACK 5", "PUT_BACK 100000"]
_STEP_OF = {"PUT_BACK": Step.REQUEUE}

_STAMP = {
    "v": 2,
    "key": "unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw",
    "owner": "owner-01",
    "until": "success",
    "ttl": 600,
}

_MISSING = object()

# The usual stamp is paired with each job; each other stamp with jobs of each outcome.
STAMPS = {
    "start": {"until": "start"},
    "expiry": {"until": "expiry"},
    "keep": {"on_death": "keep"},
    "start, keep": {"until": "start", "on_death": "keep"},
    "not renewed": {"renew": False},
    "not renewed, keep": {"renew": False, "on_death": "keep"},
    "start, not renewed": {"until": "start", "renew": False},
    "version 1": {"v": 1},
    "fractions": {"ttl": 90.25},
    "ten years": {"ttl": 315_360_000},
    "all the usual": {"renew": True, "on_death": "release", "enforce": True, "exclusive": False},
    "a member to come": {"colour": "red"},
    "version 3": {"v": 3},
    "no version": {"v": _MISSING},
    "until what": {"until": "later"},
    "ttl as text": {"ttl": "600"},
    "renewed, perhaps": {"renew": "yes"},
    "ttl 0": {"ttl": 0},
    "ttl 1": {"ttl": 1},
    "ttl true": {"ttl": True},
    "version true": {"v": True},
    "replaces a number": {"replaces": 7},
    "enforced, perhaps": {"enforce": None},
    "all the unusual": {
        "renew": False,
        "enforce": False,
        "exclusive": True,
        "replaceable": True,
        "replaces": "owner-00",
    },
    "replaces nobody": {"replaces": None},
    "key a number": {"key": 7},
    "owner a number": {"owner": 7},
    "on_death what": {"on_death": "bury"},
    "on_death null": {"on_death": None},
    "renew null": {"renew": None},
    "exclusive a number": {"exclusive": 1},
    "exclusive null": {"exclusive": None},
    "replaceable as text": {"replaceable": "no"},
    "replaceable null": {"replaceable": None},
    "until null": {"until": None},
    "ttl null": {"ttl": None},
    "no owner": {"owner": ""},
    "a lease for an owner": {"owner": "owner-01?"},
    "no key": {"key": ""},
    "another program's key": {"key": "session:admin"},
    "key without a digest": {"key": "unique:1:Email:short"},
    "key of a run lock": {"key": "{unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw}:run"},
    "key with a line more": {"key": "unique:1:Email:rZ9xt7m5cllPaTL2nlZYcw\n"},
    "key with a line inside": {"key": "unique:1:E\nmail:rZ9xt7m5cllPaTL2nlZYcw"},
    "key as long as can be": {"key": f"unique:1:{'%25' * 512}:rZ9xt7m5cllPaTL2nlZYcw"},
    "key too long": {"key": f"unique:1:{'%25' * 512}x:rZ9xt7m5cllPaTL2nlZYcw"},
    "owner as long as can be": {"owner": "é" * 256},
    "owner too long": {"owner": "é" * 256 + "e"},
    "replaces a lease": {"replaces": "owner-00?"},
    "ten years and more": {"ttl": 315_360_001},
}

JOBS = {
    "retried": {"retry": 25},
    "dropped": {"retry": 0},
    "dead": {"retry": 3, "failure": {"retry_count": 2, "remaining": 0}},
    "last but one": {"retry": 3, "failure": {"retry_count": 1, "remaining": 1}},
    "failed once": {"retry": 3, "failure": {"retry_count": 0, "remaining": 2}},
    "failed often": {"retry": 25, "failure": {"retry_count": 9, "remaining": 15}},
    "dead at once": {"retry": -1},
    "retry not said": {},
    "retry not said, failed once": {"failure": {"retry_count": 0, "remaining": 24}},
    "reserved for 0": {"retry": 25, "reserve_for": 0},
    "reserved for -1": {"retry": 25, "reserve_for": -1},
    "reserved for 1": {"retry": 25, "reserve_for": 1},
    "reserved for 600": {"retry": 0, "reserve_for": 600},
    "reserved for two days": {"retry": 0, "reserve_for": 172_800},
}


def cases():
    """Yield the cases: a name, a job as fetched, and the transition at each step, or None."""
    pairs = [("usual", job) for job in JOBS]
    pairs += [(stamp, job) for stamp in STAMPS for job in ("retried", "dropped", "dead")]
    for stamp, job in pairs:
        fields = {**_STAMP, **STAMPS.get(stamp, {})}
        written = {name: value for name, value in fields.items() if value != _MISSING}
        payload = {"jid": "copy-0001", "jobtype": "Email", "args": [], **JOBS[job]}
        payload["custom"] = {"unique": written, "locale": "de"}
        changes = {step: transition(payload, *step.split()) for step in STEPS}
        yield {"name": f"{stamp}/{job}", "job": payload, "changes": changes}


def transition(job, step, delay="0"):
    """Return the library's transition of the job's lock as the file has it; None for no change."""
    stamp = read_stamp(job)
    if stamp is None:
        return None
    change = transition_for(_STEP_OF.get(step) or Step[step], stamp, job, int(delay))
    return change and {
        "expected": list(change.expected),
        "value": change.value,
        "ttl": change.ttl,
        "extends": change.extends,
    }


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(case) for case in cases())
    FILE.write_text(f'{{"format": 2, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
