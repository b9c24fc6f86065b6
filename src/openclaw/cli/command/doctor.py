"""`openclaw doctor`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from openclaw.base.errors import ModelError
from openclaw.cli import output
from openclaw.cli.desk import Desk
from openclaw.cli.reach import Reach, gateway_options

if TYPE_CHECKING:
    from openclaw.ops.doctor import Scene


@click.command()
@output.json_option
@gateway_options
def doctor(reach: Reach, as_json: bool) -> int:
    """Look for what is wrong and say how to mend it. It changes nothing. Exit 1 when something is broken.

    \b
    Examples:
      openclaw doctor
      openclaw doctor --json > report.json     free of secrets; paste it into a ticket
    """
    from openclaw.ops.doctor import examine

    findings = examine(_scene(reach))
    if as_json:
        output.emit_json({"ok": all(each.severity != "error" for each in findings), "findings": findings})
    else:
        for each in findings:
            click.echo(f"{output.mark(each.severity)}  {each.id}: {each.evidence}")
            if each.fix and each.severity != "ok":
                click.echo(f"      → {each.fix}")
    return 1 if any(each.severity == "error" for each in findings) else 0


def _scene(reach: Reach) -> Scene:
    from openclaw.models.local.shelf import model_path
    from openclaw.ops.doctor import Scene

    desk = reach.desk
    ref, problem = reach.run(_default_model(desk))
    return Scene(
        paths=desk.paths,
        loaded=desk.loaded,
        default_model=ref,
        model_problem=problem,
        embedded_model=partial(model_path, desk.paths.cache_dir),
        probe=reach.health,
    )


async def _default_model(desk: Desk) -> tuple[str, str]:
    """Return the default model and why it cannot be called, or ""."""
    async with desk.registry() as registry:
        ref = desk.default_model(registry)
        try:
            registry.resolve(ref)
        except ModelError as error:
            return ref, error.message
        return ref, ""
