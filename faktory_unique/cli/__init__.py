"""The command line `faktory-unique`: the parser, its subcommands and options (typer)."""

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
    """Push jobs and duplicates to a new queue, run them, and show each result.

    Without --faktory and --store, the demo uses a Faktory and a store in memory.
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
            succeeded = run_demo(faktory, store)
        else:
            typer.echo("demo: no servers given, using a Faktory and a store in memory")
            with FakeFaktory() as in_memory:
                succeeded = run_demo(in_memory.url, in_memory.store_url)
    except (FaktoryUniqueError, ValueError) as exc:  # ValueError: a wrong URL
        typer.echo(f"demo: {exc}", err=True)
        raise typer.Exit(1) from exc
    raise typer.Exit(0 if succeeded else 1)
