"""`openclaw completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), default="bash")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes openclaw's commands in your shell.

    \b
    Examples:
      openclaw completion bash >> ~/.bashrc
      openclaw completion zsh > ~/.zfunc/_openclaw
      openclaw completion fish > ~/.config/fish/completions/openclaw.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(ctx.find_root().command, {}, "openclaw", "_OPENCLAW_COMPLETE").source())
