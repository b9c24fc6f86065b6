"""`openclaw version`."""

from __future__ import annotations

import platform
import sys

import click

from openclaw import __version__
from openclaw.cli import output


@click.command()
@output.json_option
def version(as_json: bool) -> None:
    """Print the version of openclaw, Python and the platform."""
    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "protocols": [3, 4],
    }
    if as_json:
        output.emit_json(facts)
    else:
        click.echo(f"openclaw {__version__} (Python {facts['python']}, {facts['platform']})")
