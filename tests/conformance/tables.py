"""Tables with a command and its reply in each row, which is a case."""

import pytest


def by_command(rows):
    """Return the mark that runs a test for each row."""
    return pytest.mark.parametrize(("command", "reply"), rows, ids=[str(row[0]) for row in rows])
