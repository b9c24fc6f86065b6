"""`openclaw gateway token`: show, compare, replace the shared credential."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from openclaw.base.errors import NotFound, OpenClawError, Unauthorized
from openclaw.base.secret import Secret
from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options

if TYPE_CHECKING:
    from openclaw.ops.token.copies import Copy

TAKES_UP_S: Final = 5.0
YES_NO: Final[dict[object, str]] = {True: "yes", False: "no"}


@click.group()
def token() -> None:
    """Show, compare or replace the gateway's shared credential.

    \b
    Examples:
      openclaw gateway token show
      openclaw gateway token check
      openclaw gateway token rotate --grace 10m
    """


@token.command()
def show() -> None:
    """Print the credential that the running gateway takes; without one, that which it would start with.

    \b
    Examples:
      curl -H "Authorization: Bearer $(openclaw gateway token show)" http://127.0.0.1:18789/v1/models
    """
    reach = Reach()
    found = reach.target.bearer
    if reach.desk.loaded.config.gateway.mode != "remote":
        tried = _tried(reach, [found, *(copy.secret for copy in _copies(reach))])
        good = [secret for secret, taken in tried if taken]
        if not good and any(taken is False for _, taken in tried):
            raise NotFound(
                "The running gateway takes none of the credentials on this machine: it was started with another.",
                hint="`openclaw gateway --force` starts it again with the configured one.",
            )
        found = good[0] if good else found
    if not found:
        raise NotFound(
            "No gateway token is configured.", hint="`openclaw up` makes one; or set OPENCLAW_GATEWAY_TOKEN."
        )
    click.echo(found.reveal())


@token.command()
@output.json_option
@gateway_options
def check(reach: Reach, as_json: bool) -> int:
    """Compare every place that holds the credential, and ask the running gateway. Exit 1 when something is wrong.

    \b
    Examples:
      openclaw gateway token check
      openclaw gateway token check --json
    """
    from openclaw.config.refusal import is_weak
    from openclaw.ops.token.copies import effective

    found = reach.target.bearer
    facts: dict[str, Any] = {"present": bool(found), "source": reach.target.token_source}
    if found:
        facts |= {"fingerprint": found.fingerprint(), "strong": not is_weak(found)}
    facts |= _asked(reach)
    copies = _copies(reach)
    right = effective(reach.desk.loaded)[0]
    rows = [
        {"where": one.where, "fingerprint": one.secret.fingerprint(), "same": one.secret == right, "owned": one.owned}
        for one in copies
    ]
    same = all(row["same"] for row in rows)
    if as_json:
        output.emit_json({**facts, "same": same, "copies": rows})
    else:
        output.fields({name: YES_NO.get(value, value) for name, value in facts.items() if value is not None})
        click.echo()
        output.table(
            ["place", "fingerprint", "same", "ours"],
            [(row["where"], row["fingerprint"], *(YES_NO[row[key]] for key in ("same", "owned"))) for row in rows],
            "No place holds one.",
        )
        if not same:
            click.echo("\nThe places differ; `openclaw doctor --fix token` aligns those that are ours.")
    return 0 if facts.get("strong") and facts["accepted"] is not False and same else 1


def _asked(reach: Reach) -> dict[str, Any]:
    try:
        reach.get("/api/auth/check", reach.target.bearer, timeout_s=TAKES_UP_S)
    except Unauthorized as error:
        return {"accepted": False, "reason": error.message, "fix": error.hint}
    except OpenClawError as error:
        return {"accepted": None, "reason": error.message}
    return {"accepted": True}


@token.command()
@click.option("--grace", default="0s", show_default=True, help="How long the old token still works, e.g. 10m, 2h, 1d.")
@output.json_option
def rotate(grace: str, as_json: bool) -> int:
    """Make another token and put it wherever openclaw owns the place; say which places it does not own.

    Clients with the old token are closed with 4001, at once or when the grace is over. Exit 1 when the running
    gateway does not take the new one.

    \b
    Examples:
      openclaw gateway token rotate
      openclaw gateway token rotate --grace 10m
    """
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.cli.desk import Desk
    from openclaw.cli.moment import duration_ms
    from openclaw.ops.token.rotate import rotate as replace

    reach = Reach()
    desk = reach.desk
    grace_ms = duration_ms("--grace", grace)
    copies = _copies(reach)
    tried = _tried(reach, [reach.target.bearer, *(copy.secret for copy in copies)])
    in_use = next((secret for secret, accepted in tried if accepted), None)
    new, done = replace(desk.paths, lambda: Desk().loaded, copies, SYSTEM_CLOCK, grace_ms, in_use)
    taken = take_up(reach, new)
    if as_json:
        told = {True: "uses it", False: "refuses it", None: "not running"}[taken]
        output.emit_json({"rotated": done, "gateway": told})
        return 1 if taken is False else 0
    click.echo(f"The token is now {done.fingerprint}.")
    for where in done.replaced:
        click.echo(f"  replaced   {where}")
    for where in done.left:
        click.echo(f"  not ours   {where}: change it yourself (`openclaw gateway token show` prints the token)")
    if done.until_ms:
        click.echo(f"  the old one works for {grace} more")
    if taken is False:
        click.echo("The running gateway does not take it: restart it, as it reads its environment only then.", err=True)
    return 1 if taken is False else 0


def _copies(reach: Reach) -> list[Copy]:
    from openclaw.ops.token.copies import find_copies
    from openclaw.ops.token.units import unit_folders

    desk = reach.desk
    home = Path(desk.env.get("HOME") or Path.home())
    return find_copies(desk.paths, desk.loaded, desk.env, Path.cwd(), unit_folders(home))


def _tried(reach: Reach, candidates: list[Secret | None]) -> list[tuple[Secret, bool | None]]:
    """Ask the gateway of this machine which of these it takes; None where nothing answers. Stops at the first.

    A gateway elsewhere is not asked: what opens this machine's is not sent there to be tried.
    """
    from openclaw.client.errors import is_local

    here = Reach(reach.desk)
    found: list[tuple[Secret, bool | None]] = []
    if not is_local(here.target.http_url):
        return found
    for secret in dict.fromkeys(one for one in candidates if one):
        try:
            here.get("/api/auth/check", secret, timeout_s=TAKES_UP_S)
        except Unauthorized:
            found.append((secret, False))
            continue
        except OpenClawError:
            return [(secret, None)]
        return [(secret, True)]
    return found


def take_up(reach: Reach, new: Secret) -> bool | None:
    """Have the gateway that runs on this state directory read its files again. None when there is none."""
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.cli.desk import run
    from openclaw.ops.doctor.checks.state import holder
    from openclaw.store.lock import LOCK_NAME

    pid = holder(reach.desk.paths.state_dir / LOCK_NAME)
    if not pid:
        return None
    os.kill(pid, signal.SIGHUP)
    deadline_s = SYSTEM_CLOCK.monotonic_s() + TAKES_UP_S
    while SYSTEM_CLOCK.monotonic_s() < deadline_s:
        if _tried(reach, [new]) == [(new, True)]:
            return True
        run(SYSTEM_CLOCK.sleep(0.2))
    return False
