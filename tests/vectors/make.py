"""Add new cases to keys.json, with their keys: `python -m tests.vectors.make`.

A case in the file is never computed again: all programs must find tomorrow the lock that one
acquires today. The keys of `unique:1` never change.
"""

from __future__ import annotations

import json
import sys

from tests.vectors import key
from tests.vectors.cases import cases
from tests.vectors.known import CASES, FILE, NAMES
from tests.vectors.ours import answer


def with_key(case):
    """Return the case with its key, on which the library and the rfc8785 package must agree.

    Raises:
        SystemExit: they disagree, or the case is refused although it should have a key.
    """
    ours, theirs = answer(case), key.answer(case)
    if ours.get("key") != theirs.get("key") or ("refused" in ours) != ("refused" in case):
        sys.exit(f"{case['name']}: {ours}, {theirs}")
    return case if "refused" in case else {**case, **theirs}


if __name__ == "__main__":
    all_cases = CASES + [with_key(case) for case in cases() if case["name"] not in NAMES]
    lines = ",\n".join(json.dumps(case) for case in all_cases)
    FILE.write_text(f'{{"format": "unique:1", "cases": [\n{lines}\n]}}\n', encoding="utf-8")
