"""`openclaw completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

BASH = r"""
_openclaw_completion() {
    local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT} word cut= answer value
    word=${line##*[[:space:]]}
    [[ $COMP_WORDBREAKS == *:* && $word == *:* ]] && cut=${word%"${word##*:}"}
    COMPREPLY=()
    for answer in $(COMP_WORDS=$line COMP_CWORD=$word _OPENCLAW_COMPLETE=fish_complete "$1"); do
        value=${answer#*,}
        value=${value%%$'\t'*}
        case $answer in
            dir,*) compopt -o dirnames ;;
            file,*) compopt -o default ;;
            *) COMPREPLY+=("${value#"$cut"}") ;;
        esac
    done
}
complete -o nosort -F _openclaw_completion openclaw
"""
"""bash breaks words at colons, which session keys hold: so the line itself is asked about, as fish does, and of each
answer the part is cut off that stands already."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), default="bash")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands, flags, sessions, agents and models in your shell.

    \b
    Examples:
      openclaw completion bash >> ~/.bashrc
      openclaw completion zsh > ~/.zfunc/_openclaw
      openclaw completion fish > ~/.config/fish/completions/openclaw.fish
    """
    if shell == "bash":
        click.echo(BASH.strip())
        return
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(ctx.find_root().command, {}, "openclaw", "_OPENCLAW_COMPLETE").source())
