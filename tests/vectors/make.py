"""Adds the cases that are new to keys.json, with their keys: `python -m tests.vectors.make`.

What stands there is never made anew: a lock that another program takes today must be found by all
tomorrow. The keys of `unique:1` are these for ever.
"""

from __future__ import annotations

import json
import sys

from tests.vectors import key
from tests.vectors.cases import cases
from tests.vectors.known import CASES, FILE, NAMES
from tests.vectors.ours import answer


def made(case):
    """The case with its key, of which the library and the rfc8785 package must be of one mind.

    Raises:
        SystemExit: they are not, or it is refused without being meant to be.
    """
    ours, theirs = answer(case), key.answer(case)
    if ours.get("key") != theirs.get("key") or ("refused" in ours) != ("refused" in case):
        sys.exit(f"{case['name']}: {ours}, {theirs}")
    return case if "refused" in case else {**case, **theirs}


if __name__ == "__main__":
    told = CASES + [made(case) for case in cases() if case["name"] not in NAMES]
    lines = ",\n".join(json.dumps(case) for case in told)
    FILE.write_text(f'{{"format": "unique:1", "cases": [\n{lines}\n]}}\n', encoding="utf-8")
