"""The canonicalizer against the rfc8785 package: `python -m tests.fuzz.canonical COUNT [SEED]`.

Ends with 1 at the first value on which the two do not agree, and shows it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import rfc8785

from faktory_unique.errors import InvalidJob
from faktory_unique.locks.canonical_json import canonical_json
from tests.fuzz.values import Values

# Where the two differ by design: our rule is stricter, or a refusal instead of a crash. What is in
# the value; what ours says; whether theirs writes it ("bytes") or runs out of stack ("crash").
#
# deep: JSON of any depth is JSON, but a server and a worker have to read it, so there is a limit.
# key twice: a dict can have two keys of one text, and each reader makes of that what it likes.
# loop: no JSON at all. Theirs does not look for it and follows it until the stack ends.
BY_DESIGN = {
    "deep": ("nested deeper than 200 levels", "bytes"),
    "key twice": ("object has this key twice", "bytes"),
    "loop": ("contains itself", "crash"),
}


class Disagreement(AssertionError):
    """The two made different things of a value, or ours one that it must not make."""


def ours(value, canonicalizer=canonical_json):
    """Bytes, or the error; one of another kind than the documented is no refusal, and raised."""
    try:
        return canonicalizer(value)
    except InvalidJob as refused:
        return refused


def theirs(value):
    """Bytes, or the error; ValueError, since a surrogate in a key is refused by str.encode."""
    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError) as refused:
        return refused


def compare(value, unfit, canonicalizer=canonical_json):
    """Whether both wrote the same bytes (else: both did what is right for this unfit thing).

    Raises:
        Disagreement: neither is so.
    """
    try:
        mine = ours(value, canonicalizer)
    except Exception as crashed:  # whatever it is, but InvalidJob: the input is to be shown
        raise _disagreement(value, unfit, repr(crashed), theirs(value)) from crashed
    other = theirs(value)
    if unfit is None:
        right = isinstance(mine, bytes) and mine == other
    elif unfit in BY_DESIGN:
        told, their_way = BY_DESIGN[unfit]
        crashed = isinstance(other, RecursionError)
        way = "bytes" if isinstance(other, bytes) else "crash" if crashed else "refused"
        right = isinstance(mine, InvalidJob) and told in str(mine) and way == their_way
    else:
        right = isinstance(mine, InvalidJob) and isinstance(other, ValueError)
    if not right:
        raise _disagreement(value, unfit, mine, other)
    return unfit is None


def _disagreement(value, unfit, mine, other):
    # ascii: what is shown must be fit for any terminal, and for pasting into a test.
    return Disagreement(f"input: {value!a}\nunfit: {unfit}\nours: {mine!a}\ntheirs: {other!a}")


def run(count, seed, canonicalizer=canonical_json, tell=lambda _done: None):
    """How many of `count` values were written, and how many were refused, by what is unfit.

    Raises:
        Disagreement: at the first one.
    """
    values, refused = Values(seed), Counter()
    for done in range(1, count + 1):
        value = values.draw()
        try:
            if not compare(value, values.unfit, canonicalizer):
                refused[values.unfit] += 1
        except Disagreement as exc:
            raise Disagreement(f"value {done} of seed {seed}\n{exc}") from exc
        tell(done)
    return count - refused.total(), refused


def _main(count, seed):
    start = time.monotonic()

    def tell(done):
        if done % max(1, count // 20) == 0:
            _say(f"{done} of {count}, {time.monotonic() - start:.0f} s")

    try:
        agreed, refused = run(count, seed, tell=tell)
    except Disagreement as exc:
        _say(exc)
        return 1
    _say("refused: " + ", ".join(f"{unfit}={n}" for unfit, n in sorted(refused.items())))
    _say(f"fuzz: canonical={count} agreed={agreed} refused={refused.total()} seed={seed}")
    return 0


def _say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()))
