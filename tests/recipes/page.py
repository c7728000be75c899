"""The blocks of docs/recipes.md, by the file that the first line of each names."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


BLOCKS = {re.match(r"# (\S+\.py)", block)[1]: block for block in blocks("python")}


def copied(name, folder, **swaps):
    """Write a block to its file in a folder. Return its path.

    Args:
        name: the file that the block names.
        folder: the folder for the file.
        swaps: pairs of texts. The first stands once in the block and is replaced by the second, for
            example to shorten a time. The name of a pair says what it changes.
    """
    text = BLOCKS[name]
    for change, (old, new) in swaps.items():
        assert text.count(old) == 1, f"{change}: {old!r} stands {text.count(old)} times in {name}"
        text = text.replace(old, new)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
