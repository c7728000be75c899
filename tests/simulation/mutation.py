"""The registry of mutations: each removes one rule of docs/design.md §5 from the library.

The name of a mutation says what is wrong with the library then. The simulation must detect
each mutation, otherwise it proves nothing.
"""

from __future__ import annotations

import contextlib
from unittest import mock

MUTATIONS = {}


def mutation(caught_in, *targets):
    """Return a decorator that registers a mutation.

    The decorated function is given the original attribute, and returns its replacement.

    Args:
        caught_in: name of the scenario whose exploration detects the mutation.
        targets: pairs of an object and the name of its attribute.
    """

    def register(mutate):
        @contextlib.contextmanager
        def applied():
            with contextlib.ExitStack() as stack:
                for owner, name in targets:
                    original = getattr(owner, name)
                    stack.enter_context(mock.patch.object(owner, name, mutate(original)))
                yield

        MUTATIONS[mutate.__name__.replace("_", " ")] = caught_in, applied
        return mutate

    return register
