"""Tables of commands and the replies to them, a row a case."""

import pytest


def by_command(rows):
    """Runs a test for each row of a table of command and reply."""
    return pytest.mark.parametrize(("command", "reply"), rows, ids=[str(row[0]) for row in rows])
