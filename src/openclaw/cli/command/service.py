"""`openclaw gateway install`, `uninstall`, `start`, `stop`, `restart` and `probe`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openclaw.base.errors import InvalidRequest, OpenClawError, Unavailable
from openclaw.cli import output
from openclaw.cli.desk import run as run_work
from openclaw.cli.reach import Reach, gateway_options

if TYPE_CHECKING:
    from openclaw.cli.service_desk import ServiceDesk
    from openclaw.ops.service.keeper import Installed
    from openclaw.ops.service.manager import Manager
    from openclaw.ops.service.plan import Scope, Service

F = TypeVar("F", bound=Callable[..., Any])
SAID_LINES = 15


def scope_options(command: F) -> F:
    """Add `--user` and `--system` to a command and give it the `scope` that they mean, None = not said."""

    @click.option("--user", "user_scope", is_flag=True, help="The service of your session; the default.")
    @click.option("--system", "system_scope", is_flag=True, help="The service of the whole system; needs root.")
    @wraps(command)
    def wrapper(*args: Any, user_scope: bool, system_scope: bool, **kwargs: Any) -> Any:
        if user_scope and system_scope:
            raise click.UsageError("--user and --system exclude each other")
        scope = "user" if user_scope else "system" if system_scope else None
        return command(*args, scope=scope, **kwargs)

    return wrapper  # type: ignore[return-value]


@click.command()
@scope_options
@click.option("--port", type=click.IntRange(1, 65_535), help="TCP port; default: the configured one.")
@click.option("--run-as", default="", help="Whom a --system service runs as; default: who called sudo, or openclaw.")
@click.option("--memory-max", help="Memory beyond which it is ended and started again, e.g. 4G; default 2G.")
@click.option("--env", "names", multiple=True, metavar="NAME", help="Give the service this variable of this shell.")
@click.option("--no-start", is_flag=True, help="Install only; it starts with the next session or boot.")
@click.option("--print", "print_only", is_flag=True, help="Print what would be written, and write nothing.")
@output.json_option
def install(
    scope: Scope | None,
    port: int | None,
    run_as: str,
    memory_max: str | None,
    names: tuple[str, ...],
    no_start: bool,
    print_only: bool,
    as_json: bool,
) -> int:
    """Have the system keep the gateway running: a hardened systemd unit, or a launchd agent on macOS.

    It is started and waited for until it is ready. Calling it again changes only what has changed.

    \b
    Examples:
      openclaw gateway install
      openclaw gateway install --env ANTHROPIC_API_KEY
      openclaw gateway install --print
      sudo openclaw gateway install --system --run-as openclaw
    """
    return run_work(
        install_service(scope or "user", port, run_as, memory_max, names, no_start, print_only, as_json=as_json)
    )


async def install_service(
    scope: Scope,
    port: int | None = None,
    run_as: str = "",
    memory_max: str | None = None,
    names: tuple[str, ...] = (),
    no_start: bool = False,
    print_only: bool = False,
    *,
    as_json: bool = False,
) -> int:
    """Install the service and start it; a second time changes only what has changed."""
    from openclaw.cli.service_desk import ServiceDesk, hand_over
    from openclaw.gateway import state
    from openclaw.ops.service import keeper

    desk = ServiceDesk(scope)
    service, owner = desk.wish(user=run_as, port=port, memory_max=memory_max)
    async with desk.manager() as manager:
        if print_only:
            text, beside = manager.text(service), manager.companions(service)
            if as_json:
                texts = [{"path": str(path), "text": each} for path, each in beside.items()]
                output.emit_json({"path": str(manager.path), "text": text, "beside": texts})
            else:
                click.echo(f"# {manager.path}", err=True)
                click.echo(text, nl=False)
                for path in beside:
                    click.echo(f"# and {path}, which --json prints", err=True)
            return 0
        env = {name: desk.desk.env.get(name) for name in names}
        if missing := [name for name, value in env.items() if not value]:
            raise InvalidRequest(f"{', '.join(missing)} is not set here", hint="Set it in this shell, then call again.")
        await manager.state()  # nothing is made where there is no manager
        service = await manager.fitted(service)
        paths = desk.desk.paths
        state.prepare(paths.state_dir, paths.logs_dir, *(each for each in service.writable if not each.exists()))
        done = await keeper.install(manager, service, {name: value for name, value in env.items() if value})
        hand_over([paths.state_dir, paths.logs_dir, *service.writable, service.env_file], owner)
        started = False
        if not no_start:
            await _bring_up(desk, manager, port, again=done.changed or bool(done.env_added))
            started = True
        lingers = (await manager.state()).lingers
    _tell_installed(desk, service, done, started=started, lingers=lingers, as_json=as_json)
    return 0


def _tell_installed(
    desk: ServiceDesk, service: Service, done: Installed, *, started: bool, lingers: bool | None, as_json: bool
) -> None:
    from openclaw.config.env import parse_env
    from openclaw.ops.service.plan import port_of
    from openclaw.ops.service.wish import forgotten

    have = parse_env(service.env_file.read_text())[0]
    lacks = forgotten(desk.desk.env, have) if desk.scope == "user" else ()
    if as_json:
        output.emit_json(
            {
                "ok": True,
                "path": done.path,
                "changed": done.changed,
                "kept": done.kept,
                "started": started,
                "envAdded": done.env_added,
                "envMissing": lacks,
                "lingers": lingers,
                "sandbox": service.sandbox,
            }
        )
        return
    click.echo(f"{'Installed' if done.changed else 'Already installed:'} {done.path}")
    if done.kept:
        click.echo(f"  It said something else before; that is kept as {done.kept}")
    click.echo(f"  variables  {service.env_file} (readable by its owner only)")
    if started:
        target = Reach(desk.desk, port=port_of(service)).target
        click.echo(f"  {output.paint('running', 'green')}    at {target.http_url}")
    if service.sandbox != "full":
        rest = {"files": "writes nowhere but to its own folders", "none": "has no sandbox of its own"}[service.sandbox]
        click.echo(f"  note       this machine refuses part of the unit's sandbox; the service {rest}.")
    if lacks:
        click.echo(f"  note       the service will not see {', '.join(lacks)} of this shell; add --env NAME for each.")
    if lingers is False:
        click.echo("  note       it ends when you log out; `loginctl enable-linger` keeps it running.")


async def _bring_up(desk: ServiceDesk, manager: Manager, port: int | None = None, *, again: bool) -> None:
    """Start or restart the service and wait until it is well. Raises: Unavailable with the log's last lines."""
    from openclaw.cli.service_desk import not_well, wait_until_well

    try:
        await (manager.restart() if again else manager.start())
    except OpenClawError as error:
        if error.code != "UNAVAILABLE":
            raise
        raise not_well(error.message, desk.desk, await manager.said(SAID_LINES)) from None
    try:
        await wait_until_well(Reach(desk.desk, port=port))
    except Unavailable as error:
        raise not_well(error.message, desk.desk, await manager.said(SAID_LINES)) from None


@click.command()
@scope_options
@output.json_option
def uninstall(scope: Scope | None, as_json: bool) -> int:
    """Stop the service and remove its file. State, settings and variables stay.

    \b
    Example:
      openclaw gateway uninstall
    """

    async def work() -> int:
        from openclaw.cli.service_desk import ServiceDesk, found_scope
        from openclaw.ops.service import keeper

        async with ServiceDesk(await found_scope(scope)).manager() as manager:
            gone = await keeper.uninstall(manager)
            if as_json:
                output.emit_json({"ok": True, "path": str(manager.path), "changed": gone})
            else:
                click.echo(f"Removed {manager.path}" if gone else "No service is installed.")
        return 0

    return run_work(work())


@click.command()
@scope_options
@output.json_option
def start(scope: Scope | None, as_json: bool) -> int:
    """Start the service and wait until the gateway is ready. Exit 1 with the log's last lines when it is not.

    \b
    Example:
      openclaw gateway start
    """
    return run_work(_act("start", scope, as_json=as_json))


@click.command()
@scope_options
@output.json_option
def stop(scope: Scope | None, as_json: bool) -> int:
    """Stop the service; runs get to end, or are taken up again at the next start.

    \b
    Example:
      openclaw gateway stop
    """
    return run_work(_act("stop", scope, as_json=as_json))


@click.command()
@scope_options
@output.json_option
def restart(scope: Scope | None, as_json: bool) -> int:
    """Restart the service and wait until the gateway is ready. Exit 1 with the log's last lines when it is not.

    \b
    Example:
      openclaw gateway restart
    """
    return run_work(_act("restart", scope, as_json=as_json))


async def _act(what: str, scope: Scope | None, *, as_json: bool) -> int:
    from openclaw.cli.service_desk import ServiceDesk, found_scope
    from openclaw.ops.service.drift import read_installed
    from openclaw.ops.service.keeper import not_installed
    from openclaw.ops.service.plan import port_of, recorded

    desk = ServiceDesk(await found_scope(scope))
    async with desk.manager() as manager:
        text = read_installed(manager.path)
        if text is None:
            raise not_installed(manager)
        if what == "stop":
            await manager.stop()
        else:
            was = recorded(text)
            await _bring_up(desk, manager, port_of(was) if was else None, again=what == "restart")
        if as_json:
            output.emit_json({"ok": True, "service": await manager.state()})
        else:
            click.echo({"start": "Started; ready.", "stop": "Stopped.", "restart": "Restarted; ready."}[what])
    return 0


def service_facts() -> dict[str, Any]:
    """Return what is known of the installed service."""

    async def work() -> dict[str, Any]:
        from openclaw.cli.service_desk import ServiceDesk, found_scope, look

        scope = await found_scope(None)
        return {"scope": scope, **await look(ServiceDesk(scope))}

    return run_work(work())


def service_lines(facts: Mapping[str, Any]) -> dict[str, object]:
    """Return the lines that tell people of a service."""
    if not facts["installed"]:
        return {"service": f"not installed ({facts.get('problem') or '`openclaw gateway install` does it'})"}
    active = str(facts.get("active", facts.get("problem", "unknown")))
    start = "starts by itself" if facts.get("enabled") else "does not start by itself"
    pid = f", process {facts['pid']}" if facts.get("pid") else ""
    lines: dict[str, object] = {
        "service": f"{output.paint(active, 'green' if active == 'active' else 'red')} ({facts['scope']}{pid}), {start}"
    }
    if facts["drift"] == "different":
        lines["unit"] = f"{facts['path']} says something else than this openclaw would: `openclaw gateway install`"
    if facts.get("missing"):
        lines["missing"] = ", ".join(facts["missing"])
    if facts.get("overrides"):
        lines["drop-ins"] = ", ".join(facts["overrides"])
    if facts.get("stale"):
        lines["stale"] = "systemd has not read the unit since it changed: `openclaw gateway install`"
    if facts.get("lingers") is False:
        lines["note"] = "it ends when you log out; `loginctl enable-linger` keeps it running"
    return lines


@click.command()
@output.json_option
@gateway_options
def probe(reach: Reach, as_json: bool) -> int:
    """Try a gateway step by step: address, life, readiness, credential, protocol. Exit 1 when a step fails.

    \b
    Examples:
      openclaw gateway probe
      openclaw gateway probe --url wss://gateway.example.com --json
    """
    first, *rest = _STEPS
    steps = [_step(*first, reach)]
    if steps[0]["ok"]:  # else all of them would say the same
        steps += [_step(name, check, reach) for name, check in rest]
    ok = all(step["ok"] for step in steps)
    if as_json:
        output.emit_json({"ok": ok, "url": reach.target.url, "credential": reach.target.token_source, "steps": steps})
        return 0 if ok else 1
    output.fields({"url": reach.target.url, "credential": reach.target.token_source})
    for step in steps:
        click.echo(f"{output.mark('ok' if step['ok'] else 'error')}  {step['step']}: {step['said']}")
        if step.get("hint"):
            click.echo(f"      → {step['hint']}")
    return 0 if ok else 1


def _step(name: str, check: Callable[[Reach], str], reach: Reach) -> dict[str, Any]:
    try:
        return {"step": name, "ok": True, "said": check(reach)}
    except OpenClawError as error:
        return {"step": name, "ok": False, "said": error.message, "code": error.code, "hint": error.hint}


def _answers(reach: Reach) -> str:
    reach.get("/healthz")
    return "a gateway answers"


def _ready(reach: Reach) -> str:
    from openclaw.base.errors import Unavailable

    found = reach.health()
    if failing := found.get("failing"):
        raise Unavailable(f"not ready: {', '.join(failing)}", hint="`openclaw gateway logs` says since when and why.")
    return f"ready, version {found['version']}" if "version" in found else "it does not say to this credential"


def _signed_in(reach: Reach) -> str:
    found = reach.get("/api/auth/check", reach.target.token)
    return f"accepted, as {found.get('role')} by {found.get('method')}"


def _speaks(reach: Reach) -> str:
    async def hello() -> dict[str, Any]:
        async with reach.connect() as line:
            return dict(line.hello)

    found = reach.run(hello())
    scopes = (found.get("auth") or {}).get("scopes", [])
    return f"Gateway protocol {found.get('protocol')}, {len(scopes)} scopes"


_STEPS: tuple[tuple[str, Callable[[Reach], str]], ...] = (
    ("answers", _answers),
    ("ready", _ready),
    ("credential", _signed_in),
    ("protocol", _speaks),
)
