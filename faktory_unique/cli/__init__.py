"""The `faktory-unique` command."""

from __future__ import annotations

from typing import Annotated

import typer

from faktory_unique.errors import FaktoryUniqueError
from faktory_unique.testing import FakeFaktory

from .demo import run_demo

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _command() -> None:
    """Unique jobs for open-source Faktory."""


@app.command()
def demo(
    faktory: Annotated[
        str | None, typer.Option(envvar="FAKTORY_URL", help="tcp://:password@host:port")
    ] = None,
    store: Annotated[
        str | None, typer.Option(envvar="FAKTORY_UNIQUE_STORE", help="redis://host:port/0")
    ] = None,
) -> None:
    """Pushes, works and deduplicates jobs in a queue of its own, and shows what became of each.

    Pointed at no server, it brings a Faktory and a store of its own, in memory.
    """
    if bool(faktory) != bool(store):
        missing = (
            "--faktory (or FAKTORY_URL)" if not faktory else "--store (or FAKTORY_UNIQUE_STORE)"
        )
        typer.echo(
            f"demo: {missing} is not set. Set both, or neither for servers in memory, e.g.\n"
            "  faktory-unique demo --faktory tcp://localhost:7419 --store redis://localhost:6379/0",
            err=True,
        )
        raise typer.Exit(2)
    try:
        if faktory and store:
            kept = run_demo(faktory, store)
        else:
            typer.echo("demo: on a Faktory and a store in memory, since it was pointed at none")
            with FakeFaktory() as in_memory:
                kept = run_demo(in_memory.url, in_memory.store_url)
    except (FaktoryUniqueError, ValueError) as exc:  # ValueError: a URL that is none
        typer.echo(f"demo: {exc}", err=True)
        raise typer.Exit(1) from exc
    raise typer.Exit(0 if kept else 1)
