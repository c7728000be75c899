"""The plan of faults: a pure function of a run's length and its seed."""

from __future__ import annotations

import random
from itertools import count
from typing import Any, NamedTuple

SERVERS = ("faktory", "redis")
CREWS = ("producer", "worker")

# What can be done, and to whom.
KINDS = {
    "delay": SERVERS,
    "cut": SERVERS,
    "cut_reply": SERVERS,
    "truncate": SERVERS,
    "refuse": SERVERS,
    "black_hole": SERVERS,
    "kill": CREWS,
    "stop": CREWS,
    "terminate": ("worker",),
    "restart": SERVERS,
    "kill_server": ("faktory",),
    "forget": ("redis",),
}
# How often each is in a deck; the network's also count as one each.
_DECK = {"kill": 3, "stop": 3, "terminate": 1, "restart": 2, "kill_server": 1}
_NETWORK_IN_DECK = 2
# Once in so many decks: whatever locks are lost with it, nothing more can be said of them.
_DECKS_TO_FORGET = 4

PER_SECOND = 1.15
"""Faults, network faults among them; some find nobody to hit, and do not count."""

_PAUSE_BEFORE = 1.0
_PAUSE_AFTER = 1.0

# From here on a run is long enough for a worker to be stopped past its reservation.
_LONG = 300
_PAST_THE_RESERVATION = (64.0, 82.0)

# Which command's answer is lost, or which command is cut short. FETCH is by far the most frequent,
# and a lost answer to it costs a job its reservation: it has its turn, and no more.
_VERBS = ("PUSHB", "ACK", "PUSHB", "FAIL", "ACK", "FETCH")


class Fault(NamedTuple):
    """Something to be done.

    Attributes:
        at: seconds after the start of the run.
        kind: one of `KINDS`.
        target: a server, or the role of the processes of which one is hit.
        parameters: what else the kind needs, by name.
    """

    at: float
    kind: str
    target: str
    parameters: dict[str, Any]


def plan(seconds: float, seed: int) -> list[Fault]:
    """The faults of a run, in order of time: every kind at least once, and about one a second."""
    rng = random.Random(f"plan:{seed}")
    number = max(len(KINDS), round(seconds * PER_SECOND))
    kinds = _dealt(rng, number)
    targets = {kind: _endless(rng, options) for kind, options in KINDS.items()}
    step = max(0.0, seconds - _PAUSE_BEFORE - _PAUSE_AFTER) / number
    return [
        Fault(
            round(_PAUSE_BEFORE + (place + rng.random()) * step, 3),
            kind,
            target := next(targets[kind]),
            _parameters(rng, kind, target, seconds),
        )
        for place, kind in enumerate(kinds)
    ]


def _dealt(rng, number):
    """Kinds as from decks of cards: in the first, each stands once."""
    often = [kind for kind in KINDS if kind != "forget"]
    deck = [kind for kind in often for _ in range(_DECK.get(kind, _NETWORK_IN_DECK))]
    dealt = _shuffled(rng, KINDS)
    for decks in count(1):
        if len(dealt) >= number:
            break
        dealt += _shuffled(rng, [*deck, "forget"] if decks % _DECKS_TO_FORGET == 0 else deck)
    return dealt[:number]


def _endless(rng, options):
    while True:
        yield from _shuffled(rng, options)


def _shuffled(rng, options):
    cards = list(options)
    rng.shuffle(cards)
    return cards


def _parameters(rng, kind, target, seconds):
    verb = rng.choice(_VERBS) if target == "faktory" else ""
    which, duration = rng.randrange(100), round(rng.uniform(1, 3), 2)
    group = rng.random() < 0.5
    drawn = {
        "delay": {"by": round(rng.uniform(0.02, 1.5), 3), "seconds": duration},
        "cut": {"reset": rng.random() < 0.5},
        "cut_reply": {"verb": verb},
        "truncate": {"verb": verb, "towards": rng.choice(("server", "client"))},
        "refuse": {"seconds": duration},
        "black_hole": {"seconds": duration},
        # A worker's handlers with it, or it alone: they go on then, and may outlive it.
        "kill": {"which": which, "group": group},
        "stop": {"which": which, "group": group, "seconds": _stop(rng, target, seconds)},
        "terminate": {"which": which},
    }
    return drawn.get(kind, {})


def _stop(rng, target, seconds):
    """Mostly short, at times past a lease; and in a long run past a reservation."""
    if target == "worker" and seconds >= _LONG and rng.random() < 0.3:
        return round(rng.uniform(*_PAST_THE_RESERVATION), 2)
    return round(rng.uniform(8, 14) if rng.random() < 0.3 else rng.uniform(0.5, 5), 2)
