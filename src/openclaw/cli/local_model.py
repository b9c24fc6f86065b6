"""Fetches a local model with a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from openclaw.cli.desk import Desk, run


def is_missing(desk: Desk, ref: str) -> bool:
    """Say whether a model reference names a local model whose file is not here."""
    from openclaw.models.local.pull import installed

    provider, _, name = ref.partition("/")
    return provider == "embedded" and name not in installed(desk.paths.cache_dir)


def fetch(desk: Desk, name: str, source: Path | None = None) -> None:
    """Bring a model into the cache folder; say so when it is there already.

    Raises: what models.pull raises. Cancels: Ctrl-C ends the fetch, and the next one goes on where it stopped.
    """
    entry = run(_pull(desk, name, source))
    click.echo(
        f"Model {entry.name} is in {desk.paths.cache_dir} ({entry.size / 1e6:,.0f} MB, licence {entry.licence})."
    )


async def _pull(desk: Desk, name: str, source: Path | None) -> Any:
    from openclaw.models.local.pull import pull
    from openclaw.processes.spawner import Spawner

    spawner = Spawner(desk.env)
    try:
        with click.progressbar(length=1, label=f"Fetching {name}", width=30, show_pos=False) as bar:

            def progress(done: int, total: int) -> None:
                bar.length = max(total, 1)
                bar.update(min(done, bar.length) - bar.pos)

            return await pull(name, desk.paths.cache_dir, spawner=spawner, progress=progress, source=source)
    finally:
        await spawner.close()
