"""The library, broken on purpose: each mutation undoes one rule of docs/design.md §5.

A mutation is a function that patches the library; its name says what is wrong then. The simulation
must catch each, or it proves nothing.
"""

from __future__ import annotations

import contextlib
from unittest import mock

MUTATIONS = {}


def mutation(caught_in, *targets):
    """Makes a mutation of a function that gives what is to stand in the place of the original.

    Args:
        caught_in: the scenario whose exploration catches it.
        targets: pairs of an object and the name of its attribute.
    """

    def register(mutated):
        @contextlib.contextmanager
        def broken():
            with contextlib.ExitStack() as stack:
                for owner, name in targets:
                    original = getattr(owner, name)
                    stack.enter_context(mock.patch.object(owner, name, mutated(original)))
                yield

        MUTATIONS[mutated.__name__.replace("_", " ")] = caught_in, broken
        return mutated

    return register
