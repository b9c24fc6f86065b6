"""`openclaw version`."""

from __future__ import annotations

import platform
import sys
from typing import Any

import click

from openclaw import __version__
from openclaw.cli import output


@click.command()
@output.json_option
def version(as_json: bool) -> None:
    """Print the version; with --json also protocols, the store's schema, optional parts and deprecations.

    \b
    Examples:
      openclaw version
      openclaw version --json | jq .schema
    """
    facts: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
    }
    if not as_json:
        click.echo(f"openclaw {__version__} (Python {facts['python']}, {facts['platform']})")
        return
    from openclaw.ops.upgrade import DEPRECATIONS, extras
    from openclaw.protocol.versions import SUPPORTED
    from openclaw.store.schema import MIGRATIONS

    output.emit_json(
        facts
        | {"protocols": SUPPORTED, "schema": MIGRATIONS[-1].number, "extras": extras(), "deprecations": DEPRECATIONS}
    )
