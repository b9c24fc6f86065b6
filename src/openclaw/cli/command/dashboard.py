"""`openclaw dashboard`."""

from __future__ import annotations

from urllib.parse import quote

import click

from openclaw.base.errors import NotFound
from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options


@click.command()
@click.option("--open/--no-open", "wanted", default=False, help="Open it in the browser of this machine.")
@output.json_option
@gateway_options
def dashboard(reach: Reach, wanted: bool, as_json: bool) -> None:
    """Print the address of the gateway's page, with the token in it: whoever has it gets in, so mind where it goes.

    The token is behind the #, which browsers do not send; the page takes it out of the address bar, and from then on
    the browser is a device of its own.

    \b
    Examples:
      openclaw dashboard
      openclaw dashboard --open
    """
    from openclaw.client.errors import is_local

    target = reach.target
    if not target.token:
        raise NotFound(
            "No gateway token is configured.", hint="`openclaw up` makes one; or set OPENCLAW_GATEWAY_TOKEN."
        )
    gateway = reach.desk.loaded.config.gateway
    entrance = f"/#token={quote(target.token.reveal(), safe='')}"
    here = is_local(target.http_url) and gateway.mode == "local"
    address = f"{target.http_url}{gateway.control_ui.base_path if here else ''}{entrance}"
    public = f"{gateway.public_base_url.rstrip('/')}{entrance}" if here and gateway.public_base_url else ""
    opened = wanted and click.launch(address) == 0
    if as_json:
        output.emit_json({"url": address, **({"publicUrl": public} if public else {}), "opened": opened})
        return
    click.echo(address)
    if public:
        click.echo(f"{public}    (from outside)")
