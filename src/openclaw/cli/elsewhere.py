"""What people type who used another OpenClaw, and that is not a command here: why, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import click

from openclaw.base.errors import NotSupported

NO_CHANNELS = "this version has no chat channels yet"
TALK = "Talk to an agent with `openclaw chat`, `openclaw agent --message TEXT`, a browser or the HTTP API."

ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "acp": ("there is no ACP bridge", "Programs speak the Gateway protocol or HTTP: docs/client.md, docs/http.md."),
    "browser": ("agents have no browser of ours", "Give them one as an MCP server: docs/mcp.md."),
    "directory": (NO_CHANNELS, TALK),
    "docs": ("the manual comes with the program", "Read the pages in docs/; every command has --help."),
    "hooks": ("hooks are settings", "See `openclaw config get hooks` and docs/hooks.md."),
    "message": (NO_CHANNELS, TALK),
    "plugins": ("plugins of other gateways do not run here", "Add tools as actions (docs/actions.md) or MCP servers."),
    "reset": (
        "nothing deletes a state directory",
        "`openclaw sessions reset KEY` begins a conversation anew; `openclaw backup create`, then move the directory.",
    ),
    "uninstall": (
        "what installed the program removes it",
        "`openclaw gateway uninstall` removes the service; then `pip uninstall openclaw-gateway`.",
    ),
    "update": (
        "what installed the program upgrades it",
        "`pip install -U openclaw-gateway`, then `openclaw upgrade --check`.",
    ),
    "webhooks": ("hooks are settings", "See `openclaw config get hooks` and docs/hooks.md."),
}
"""Name to why it is not here, and what to do."""

ABOUT_CHANNELS: Mapping[str, tuple[str, str]] = dict.fromkeys(
    ("add", "remove", "login", "logout", "restart", "test"), (NO_CHANNELS, TALK)
) | dict.fromkeys(("approve", "deny"), (NO_CHANNELS, "A device is let in by `openclaw devices approve`."))
"""The same for what follows `channels` and `pairing`."""


def elsewhere(name: str, table: Mapping[str, tuple[str, str]] = ELSEWHERE) -> click.Command | None:
    """Return a command that takes anything and says what to do instead; None for a name nobody knows."""
    if name not in table:
        return None
    why, instead = table[name]

    @click.pass_context
    def say(ctx: click.Context) -> NoReturn:
        raise NotSupported(f"`{ctx.command_path}` is not here: {why}.", hint=instead)

    return click.Command(
        name,
        callback=say,
        help=f"Not here: {why}. {instead}",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
