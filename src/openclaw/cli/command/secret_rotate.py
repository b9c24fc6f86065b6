"""`openclaw secrets rotate`: another value for a secret, put where the secret lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from openclaw.base.errors import InvalidRequest, NotFound, OpenClawError
from openclaw.base.secret import Secret
from openclaw.cli import output
from openclaw.cli.desk import Desk, run
from openclaw.cli.reach import Reach

if TYPE_CHECKING:
    from openclaw.config.reference import Reference
    from openclaw.secrets.former import FormerSecrets
    from openclaw.secrets.outcome import Written
    from openclaw.secrets.room import SecretRoom

TOKEN: Final = "gateway.auth.token"  # noqa: S105  # the name of a setting
OWN: Final = (TOKEN, "gateway.auth.password")
"""What opens the gateway: whoever came by the old one is shut out by the change itself."""
RANDOM_BYTES: Final = 32
USES, REFUSES, NOT_RUNNING = "uses it", "refuses it", "not running"


class Wanted(NamedTuple):
    """What is to be rotated. Shape: `used_by` are settings; `where` is for people."""

    path: str
    reference: Reference
    used_by: tuple[str, ...]
    where: str


class Kept(NamedTuple):
    """What of the old one is kept: until when (Unix ms), 0 for not at all."""

    former: FormerSecrets
    old: Secret | None
    now_ms: int
    until_ms: int


@click.command()
@click.argument("path")
@click.option("--generate", is_flag=True, help="Make a random one, instead of reading it from stdin.")
@click.option("--keep", default="0s", show_default=True, help="How long --undo shall be able to put the old one back.")
@click.option("--undo", is_flag=True, help="Put back the one that an earlier --keep has kept.")
@click.option("--grace", default="", help="gateway.auth.token: how long the old one still opens the gateway.")
@click.option("--dry-run", is_flag=True, help="Say where it lies and what uses it, and change nothing.")
@output.json_option
def rotate(path: str, generate: bool, keep: str, undo: bool, grace: str, dry_run: bool, as_json: bool) -> int:
    """Replace the secret that the setting PATH refers to, where it lies, and have the running gateway use it.

    The new one is read from stdin or asked for. Written are: `.env` of the state directory, files of yours, AWS Secrets
    Manager and Parameter Store, Vault. The gateway's own token is made anew, as by `openclaw gateway token rotate`.
    Exit 1 when the running gateway does not take it up.

    \b
    Examples:
      openclaw secrets rotate models.providers.openai.apiKey < new-key.txt
      openclaw secrets rotate hooks.token --generate --keep 1h
      openclaw secrets rotate hooks.token --undo
      openclaw secrets rotate gateway.auth.token --grace 10m
    """
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.cli.moment import duration_ms
    from openclaw.secrets.former import MAX_KEEP_MS, FormerSecrets

    if grace and path != TOKEN:
        raise click.UsageError(f"--grace is for {TOKEN}: others have no second value")
    keep_ms, grace_ms = duration_ms("--keep", keep), duration_ms("--grace", grace or "0s")
    if keep_ms > MAX_KEEP_MS:
        raise InvalidRequest("the old one is kept for 7 days at most")
    desk, now_ms = Desk(), SYSTEM_CLOCK.now_ms()
    former = FormerSecrets(desk.paths.state_dir)
    former.expire(now_ms)
    if path == TOKEN and _is_ours(desk) and not (undo or dry_run):
        if keep_ms:
            raise click.UsageError(f"of {TOKEN} nothing is kept: --grace lets the old one open the gateway for a while")
        return _as_token(grace or "0s", as_json=as_json)
    room = _room(desk)
    wanted = _wanted(desk, room, path)
    if dry_run:
        _tell(wanted, {"rotated": False}, as_json=as_json)
        return 0
    old = _value(desk, room, wanted.reference)
    new = _new(wanted, former.get(wanted.reference, now_ms), undo=undo, generate=generate)
    if old and old.matches(new.reveal()):
        raise InvalidRequest("the new secret is the one that is set", hint="Nothing was changed.")
    if old and path == TOKEN:
        _give_grace(desk, old, now_ms, grace_ms)
    kept = Kept(former, old if not undo else None, now_ms, now_ms + keep_ms if keep_ms else 0)
    written = _put(room, desk, wanted, new, kept)
    if undo:
        former.forget(wanted.reference, now_ms)
    taken = _taken_up(desk, wanted, new)
    facts = {"rotated": True, "fingerprint": new.fingerprint(), "before": written.before}
    _tell(wanted, {**facts, "keptUntilMs": kept.until_ms if kept.old else 0, "gateway": taken}, as_json=as_json)
    return int(taken == REFUSES)


def _is_ours(desk: Desk) -> bool:
    """Whether the token lies in the open, in places that `gateway token rotate` knows; not behind a reference."""
    return all(placed.path != TOKEN for placed in desk.loaded.references)


def _as_token(grace: str, *, as_json: bool) -> int:
    from openclaw.cli.command.token import rotate as rotate_token

    code: int = click.get_current_context().invoke(rotate_token, grace=grace, as_json=as_json)
    return code


def _room(desk: Desk) -> SecretRoom:
    """Return a room that knows what the configuration refers to."""
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.secrets.room import SecretRoom
    from openclaw.telemetry.redact import REDACTOR

    room = SecretRoom(desk.paths, SYSTEM_CLOCK, REDACTOR.add)
    run(room.load(desk.env))
    return room


def _wanted(desk: Desk, room: SecretRoom, path: str) -> Wanted:
    """Raises: NotFound for a setting without a secret; InvalidRequest for one that cannot be rotated here."""
    from openclaw.secrets.audit import places, reference_at
    from openclaw.secrets.outcome import Unresolved

    loaded = desk.loaded
    place = next((each for each in places(loaded) if each.path == path), None)
    if place is None:
        raise NotFound(f"{path} holds no secret.", hint="`openclaw secrets list` names those that do.")
    reference = reference_at(loaded, path)
    if reference is None:
        raise InvalidRequest(
            f"{path} is in plain text in {desk.paths.config_path}",
            hint=f"`openclaw secrets set {path}` takes the new one, keeps it out of there, and refers to it.",
        )
    try:
        where = run(room.target(reference, loaded))
    except Unresolved as error:
        raise InvalidRequest(
            f"{path} cannot be rotated here: {error}", hint="Then have it read again: openclaw secrets reload"
        ) from None
    return Wanted(path, reference, place.used_by, where)


def _value(desk: Desk, room: SecretRoom, reference: Reference) -> Secret | None:
    """Return what is set now; the room knows variables only where a reference, not `${NAME}`, names them."""
    found = room.value(reference)
    text = desk.loaded.env.get(reference.id) if found is None and reference.source == "env" else None
    return Secret(text) if text else found


def _new(wanted: Wanted, kept: Secret | None, *, undo: bool, generate: bool) -> Secret:
    from secrets import token_urlsafe

    from openclaw.cli.command.secret import asked_for

    if undo:
        if kept is None:
            raise NotFound(f"No earlier secret of {wanted.path} is kept.", hint="`--keep 1h` would have kept it.")
        return kept
    return Secret(token_urlsafe(RANDOM_BYTES)) if generate else asked_for(wanted.path)


def _give_grace(desk: Desk, old: Secret, now_ms: int, grace_ms: int) -> None:
    """Let the old token open the gateway for so long; none ends the grace of earlier ones too."""
    from openclaw.identity.grace import former, grace_file, load, save

    file = grace_file(desk.paths.state_dir)
    save(file, (*load(file, now_ms), former(old, now_ms + grace_ms)) if grace_ms else ())


def _put(room: SecretRoom, desk: Desk, wanted: Wanted, new: Secret, kept: Kept) -> Written:
    """Keep the old one if that is wanted, then write the new one. Raises: InvalidRequest saying why it was not."""
    from openclaw.secrets.outcome import Unresolved

    if kept.old and kept.until_ms:
        kept.former.keep(wanted.reference, kept.old, kept.until_ms, kept.now_ms)
    try:
        return run(room.put(wanted.reference, new, desk.loaded))
    except Unresolved as error:
        if kept.old and kept.until_ms:
            kept.former.forget(wanted.reference, kept.now_ms)
        raise InvalidRequest(f"{wanted.path} was not rotated: {error}") from None


def _taken_up(desk: Desk, wanted: Wanted, new: Secret) -> str:
    """Have the gateway that runs on this state directory read its secrets again."""
    from openclaw.cli.command.token import take_up
    from openclaw.client.errors import GatewayDown

    if any(path in OWN for path in wanted.used_by):
        return {True: USES, False: REFUSES, None: NOT_RUNNING}[take_up(Reach(desk), new)]
    if desk.loaded.config.gateway.mode == "remote":
        return NOT_RUNNING
    try:
        Reach(desk).call("secrets.reload")
    except GatewayDown:
        return NOT_RUNNING
    except OpenClawError as error:
        output.print_error(error)
        return REFUSES
    return USES


def _tell(wanted: Wanted, facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        told = {"path": wanted.path, "where": wanted.where, "usedBy": wanted.used_by, **facts}
        output.emit_json(told)
        return
    what = "was replaced" if facts["rotated"] else "would be replaced"
    click.echo(f"The secret of {wanted.path} {what}: {wanted.where}")
    for path in wanted.used_by:
        click.echo(f"  used by    {path}")
    if not facts["rotated"]:
        return
    if facts["before"]:
        click.echo(f"  way back   {facts['before']}")
    if facts["keptUntilMs"]:
        click.echo(f"  way back   openclaw secrets rotate {wanted.path} --undo")
    click.echo(f"  gateway    {facts['gateway']}")
    if facts["gateway"] == REFUSES:
        click.echo("The running gateway did not take it up; mend what it says, then: openclaw secrets reload", err=True)
