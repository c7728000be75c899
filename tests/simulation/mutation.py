"""The registry of mutations: each removes one rule of docs/design.md §5 from the library.

The name of a mutation says what is wrong with the library then. The simulation must detect
each mutation, otherwise it proves nothing.
"""

from __future__ import annotations

import contextlib
from unittest import mock

MUTATIONS = {}


@contextlib.contextmanager
def mutated(mutate, *targets):
    """Return a context in which attributes are replaced.

    Args:
        mutate: returns the replacement of an attribute, given the attribute.
        targets: pairs of an object and the name of its attribute.
    """
    with contextlib.ExitStack() as stack:
        for owner, name in targets:
            replacement = mutate(getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, replacement))
        yield


def mutation(caught_in, *targets):
    """Return a decorator that registers a mutation.

    The decorated function is given the original attribute, and returns its replacement.

    Args:
        caught_in: name of the scenario whose exploration detects the mutation.
        targets: pairs of an object and the name of its attribute.
    """

    def register(mutate):
        name = mutate.__name__.replace("_", " ")
        MUTATIONS[name] = caught_in, lambda: mutated(mutate, *targets)
        return mutate

    return register
