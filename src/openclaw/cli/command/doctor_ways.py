"""`openclaw doctor connect|net|proxy|memory`: one way looked along, step by step."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options

if TYPE_CHECKING:
    from openclaw.ops.doctor.step import Step


@click.command()
@click.argument("url", required=False)
@click.option("--token", default="", help="Token of that gateway; default: the environment's or configured one.")
@output.json_option
def connect(url: str | None, token: str, as_json: bool) -> int:
    """Go a client's way to the gateway and name the first thing that fails, with its fix.

    The steps: name, TCP, TLS, HTTP, WebSocket, credential (which one, read from where), pairing, scopes.

    \b
    Examples:
      openclaw doctor connect
      openclaw doctor connect wss://chat.example.com
    """
    from openclaw.ops.doctor.connect import connect_steps
    from openclaw.ops.doctor.step import until_failure

    reach = Reach(url=url or "", token=token)
    steps = until_failure(connect_steps(reach.target, lambda: reach.run(_hello(reach))))
    return _print(steps, as_json=as_json)


async def _hello(reach: Reach) -> dict[str, Any]:
    async with reach.connect() as line:
        return dict(line.hello)


@click.command()
@click.argument("host", required=False)
@output.json_option
def net(host: str | None, as_json: bool) -> int:
    """Say what the policy lets tools reach, and which proxies and authorities the environment names.

    With HOST (or host:port, or a URL): the verdict on it, its addresses, and whether it takes connections.

    \b
    Examples:
      openclaw doctor net
      openclaw doctor net api.example.com
    """
    from openclaw.cli import doctoring
    from openclaw.ops.doctor.net import net_steps

    scene = doctoring.look(Reach(), models=False, walls=False)
    return _print(net_steps(scene, host or ""), as_json=as_json)


@click.command()
@click.argument("url")
@click.option("--deep", is_flag=True, help="Also wait for longer than proxies' usual timeout of a minute.")
@click.option("--snippet", type=click.Choice(["nginx", "caddy", "traefik"]), help="Print a configuration and leave.")
@click.option("--insecure", is_flag=True, help="Take any certificate, for a proxy that has none yet.")
@output.json_option
@click.option("--token", default="", help="Token of that gateway; default: the environment's or configured one.")
def proxy(url: str, token: str, deep: bool, snippet: str | None, insecure: bool, as_json: bool) -> int:
    """Send probes through the reverse proxy at URL and say what it does to them.

    Looked at: forwarding headers and whether they are trusted, the WebSocket upgrade, buffering of streams, the base
    path, the largest body, and timeouts. Exit 1 when something is wrong.

    \b
    Examples:
      openclaw doctor proxy https://chat.example.com
      openclaw doctor proxy https://example.com/openclaw --snippet nginx
    """
    from openclaw.client.inspect import certificate
    from openclaw.ops.doctor.proxy import ProxyProbe, upstream_of
    from openclaw.ops.doctor.proxy import snippet as text_of

    reach = Reach(token=token)
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if snippet is not None:
        gateway = reach.desk.loaded.config.gateway
        upstream = upstream_of(urlsplit(reach.target.http_url).hostname or "127.0.0.1", gateway.port)
        click.echo(text_of(snippet, upstream, parts.hostname or "", parts.path), nl=False)
        return 0
    bearer = reach.target.bearer
    secret = bearer.reveal() if bearer else ""
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    pinned = ""
    if insecure and parts.scheme == "https":
        with suppress(OSError):  # whoever is not there is told by the first probe
            pinned = certificate(parts.hostname or "", parts.port or 443)[0]
    through = Reach(reach.desk, url=address, token=secret, fingerprint=pinned)
    gateway = reach.desk.loaded.config.gateway
    probe = ProxyProbe(
        address,
        secret,
        lambda: through.run(_hello(through)),
        verify=not insecure,
        bases=(gateway.control_ui.base_path, urlsplit(gateway.public_base_url).path),
        public=gateway.public_base_url,
    )
    return _print(probe.steps(deep=deep), as_json=as_json)


@click.command()
@output.json_option
@gateway_options
def memory(reach: Reach, as_json: bool) -> int:
    """Say how the agents' memory stands: who keeps it, and what searches it.

    \b
    Examples:
      openclaw doctor memory
    """
    found = reach.call("doctor.memory.status")
    if as_json:
        output.emit_json(found)
        return 0
    embedding = found.get("embedding") or {}
    output.fields(
        {
            "agent": found.get("agentId"),
            "provider": found.get("provider"),
            "embedding": "works" if embedding.get("ok") else embedding.get("error") or "not checked",
        }
    )
    return 0


def _print(steps: Iterable[Step], *, as_json: bool) -> int:
    """Print steps as they are taken; exit 1 when one failed."""
    taken: list[Step] = []
    for step in steps:
        taken.append(step)
        if not as_json:
            kind = "ok" if step.ok else "warning" if step.warning else "error"
            click.echo(f"{output.mark(kind)}  {step.name}: {step.seen}")
            if step.fix and not step.ok:
                click.echo(f"      → {step.fix}")
    good = all(step.ok for step in taken)
    if as_json:
        output.emit_json({"ok": good, "steps": taken})
    return 0 if good else 1
