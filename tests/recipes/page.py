"""docs/recipes.md: its blocks, each by the file that its first line names."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


BLOCKS = {re.match(r"# (\S+\.py)", block)[1]: block for block in blocks("python")}


def copied(name, folder, **swaps):
    """Writes a block to its file in this folder.

    Args:
        name: the file that the block names.
        folder: where.
        swaps: pairs of texts, of which the first stands once in the block and gives way to the
            second: what the page says too slowly for a test. Their names say what they are.
    """
    text = BLOCKS[name]
    for what, (old, new) in swaps.items():
        assert text.count(old) == 1, f"{what}: {old!r} stands {text.count(old)} times in {name}"
        text = text.replace(old, new)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
