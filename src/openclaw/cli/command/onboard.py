"""`openclaw onboard`: the first set-up, asked for on a terminal or given by flags."""

from __future__ import annotations

import sys
from contextlib import ExitStack, redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from openclaw.base.errors import Conflict, OpenClawError
from openclaw.cli import output
from openclaw.cli.desk import Desk, run
from openclaw.cli.layout import plain
from openclaw.cli.terminal import is_terminal

if TYPE_CHECKING:
    from openclaw.base.secret import Secret
    from openclaw.config.load import Loaded

PROVIDERS = ("embedded", "anthropic", "openai", "ollama", "custom")
KEYED = ("anthropic", "openai")
NAMED = ("ollama", "custom")
"""Whose models only whoever runs them can name."""
QUESTION = "Say hello in three words."
MODEL = "agents.defaults.model"


class Wanted(NamedTuple):
    """What the set-up is to come to. Shape: `settings` are dotted paths with values; `key` is None for no new one."""

    provider: str
    settings: dict[str, str]
    key: Secret | None

    @property
    def key_path(self) -> str:
        """The setting that names the key."""
        return f"models.providers.{self.provider}.apiKey"


@click.command()
@click.option("--provider", type=click.Choice(PROVIDERS), help="Who answers; custom: any OpenAI-compatible API.")
@click.option("--api-key-stdin", "key_from_stdin", is_flag=True, help="Read the provider's key from stdin.")
@click.option("--base-url", default="", metavar="URL", help="Root of the provider's API; custom needs it.")
@click.option(
    "--model", default="", metavar="NAME", help="Model of that provider; default: the chosen, else its usual one."
)
@click.option("--install-service", "service", is_flag=True, help="Have the system keep the gateway running.")
@click.option("--skip-test", is_flag=True, help="Do not call the model.")
@click.option("--replace", is_flag=True, help="Replace other values that are set already, without asking.")
@click.option("--non-interactive", is_flag=True, help="Never ask; what is missing is an error.")
@output.json_option
def onboard(
    provider: str | None,
    key_from_stdin: bool,
    base_url: str,
    model: str,
    service: bool,
    skip_test: bool,
    replace: bool,
    non_interactive: bool,
    as_json: bool,
) -> int:
    """Set the gateway up: provider, key, model, a first call, the service. A second time changes only what differs.

    It asks for no chat channel: this version has none yet.

    It asks on a terminal; scripts give flags. What is set already is replaced only when you say so. The key is kept in
    the state directory's secrets.json, readable by its owner only, and never shown. Exit 1 when the model does not
    answer; what was written stays, and no service is installed.

    \b
    Examples:
      openclaw onboard
      openclaw onboard --provider embedded --non-interactive
      openclaw onboard --provider anthropic --api-key-stdin --install-service < key.txt
      openclaw onboard --provider custom --base-url http://10.0.0.5:8000/v1 --model llama --json
    """
    desk = Desk()
    ask = not (non_interactive or as_json or key_from_stdin) and is_terminal(sys.stdin) and is_terminal(sys.stdout)
    with ExitStack() as stack:
        if as_json:  # what people read on the way goes to stderr
            stack.enter_context(redirect_stdout(sys.stderr))
        wanted = _wanted(desk, provider, base_url, model, key_from_stdin=key_from_stdin, ask=ask)
        changed = _write(desk, wanted, replace=replace, ask=ask)
        answer, problem = (None, None) if skip_test else _try(desk, wanted, ask=ask)
        installed = problem is None and _service(asked=service, ask=ask)
        _directions(desk, wanted, installed=installed)
    if as_json:
        found = {"ok": problem is None, "provider": wanted.provider, "model": wanted.settings[MODEL]}
        report: dict[str, Any] = {**found, "changed": changed, "test": answer, "service": installed}
        output.emit_json({**report, **({"error": problem.as_dict()} if problem else {})})
    return int(problem is not None)


def _wanted(desk: Desk, provider: str | None, base_url: str, model: str, *, key_from_stdin: bool, ask: bool) -> Wanted:
    """Complete the flags with answers. Raises: UsageError for what is missing where nobody can be asked."""
    if provider is None:
        provider = _answer("--provider", "Who answers?", ask=ask, default=_current(desk)[0], choices=PROVIDERS)
    if provider == "embedded" and (base_url or key_from_stdin):
        raise click.UsageError("the embedded model runs here: it takes neither an address nor a key")
    known = desk.loaded.config.models.providers.get(provider)
    if provider == "custom" and not base_url:
        base_url = (known.base_url if known else "") or _answer("--base-url", "Root of its API (URL)", ask=ask)
    model = model.removeprefix(f"{provider}/")
    if not model and provider == _current(desk)[0]:
        model = _current(desk)[1]
    if not model and provider in NAMED:
        model = _answer("--model", "Name of its model", ask=ask)
    settings = {f"models.providers.{provider}.baseUrl": base_url} if base_url else {}
    settings[MODEL] = run(_reference(desk, f"{provider}/{model}" if model else provider))
    return Wanted(provider, settings, _key(desk, provider, base_url, key_from_stdin=key_from_stdin, ask=ask))


def _key(desk: Desk, provider: str, base_url: str, *, key_from_stdin: bool, ask: bool) -> Secret | None:
    """Return a new key, None where none is needed. A key never reaches an address that it was not given for."""
    from openclaw.cli.command.secret import asked_for

    path = f"models.providers.{provider}.apiKey"
    if key_from_stdin:
        return asked_for(path)
    known = desk.loaded.config.models.providers.get(provider)
    moves = bool(base_url) and (known.base_url if known else "") != base_url
    if moves and _is_named(desk, path):
        why = "the key that is set was given for another address"
    elif provider in KEYED and (moves or not run(_has_key(desk, provider))):
        why = f"{provider} needs a key"
    elif provider == "custom" and ask and not _is_named(desk, path) and click.confirm("Does it take a key?"):
        why = ""
    else:
        return None
    if not ask:
        raise click.UsageError(f"{why}: send one on stdin with --api-key-stdin")
    return asked_for(path)


def _is_named(desk: Desk, path: str) -> bool:
    """Say whether the configuration has a key there, be it a reference without a value."""
    from openclaw.config.keypath import parse_path
    from openclaw.config.reading.values import ABSENT, lookup

    return lookup(desk.loaded.parsed, parse_path(path)) is not ABSENT


def _answer(flag: str, question: str, *, ask: bool, default: str | None = None, choices: tuple[str, ...] = ()) -> str:
    if not ask:
        raise click.UsageError(f"{flag} is needed where nobody can be asked")
    answer: str = click.prompt(question, default=default, type=click.Choice(choices) if choices else str)
    return answer


def _primary(desk: Desk) -> str:
    chosen = desk.loaded.config.agents.defaults.model
    return chosen if isinstance(chosen, str) else chosen.primary


def _current(desk: Desk) -> tuple[str, str]:
    """Return the provider and the model that are the default already; the model is "" when none is chosen."""
    provider, _, model = _primary(desk).partition("/")
    return (provider, model) if provider in PROVIDERS else ("embedded", "")


async def _reference(desk: Desk, ref: str) -> str:
    if "/" in ref:
        return ref
    async with desk.registry() as registry:
        return registry.full_ref(ref)


async def _has_key(desk: Desk, provider: str) -> bool:
    from openclaw.base.errors import ModelError

    async with desk.registry() as registry:
        try:
            registry.resolve(provider)
        except ModelError:
            return False
        return True


def _write(desk: Desk, wanted: Wanted, *, replace: bool, ask: bool) -> list[str]:
    """Write what differs, in one recorded change, and return the settings.

    Raises: Conflict before anything is written; what a change of the file raises.
    """
    from openclaw.cli.command.config import change_file
    from openclaw.cli.command.secret import reference_to, stored
    from openclaw.cli.command.up import prepare
    from openclaw.config.changes.record import Wish

    differing = _differing(desk, wanted)
    _may_replace(desk, [path for path, old in differing.items() if old], replace=replace, ask=ask)
    prepare(desk)
    if not differing:
        click.echo("  nothing to change: the settings are as you want them")
        return []
    values: dict[str, Any] = {path: value for path, value in wanted.settings.items() if path in differing}
    with ExitStack() as stack:
        if wanted.key is not None and wanted.key_path in differing:
            values[wanted.key_path] = reference_to(desk, "file", wanted.key_path)
            stack.enter_context(stored(desk, "file", wanted.key_path, wanted.key))
        wish = Wish(method="cli: onboard")
        change_file(desk, wish, partial(_rewritten, values), f"{', '.join(values)}: set")
    desk.forget()
    return list(values)


def _rewritten(values: dict[str, Any], before: Loaded) -> str:
    """Return the file's text with these settings. A model with fallbacks keeps them: only the first one is replaced."""
    from openclaw.config.keypath import parse_path
    from openclaw.config.reading.values import lookup, put
    from openclaw.config.writing.apply import with_values

    parsed: Any = before.parsed
    for path, value in values.items():
        place = parse_path(path)
        if path == MODEL and isinstance(lookup(parsed, place), dict):
            place = (*place, "primary")
        parsed = put(parsed, place, value)
    return with_values(before, parsed)


def _differing(desk: Desk, wanted: Wanted) -> dict[str, bool]:
    """Return the settings that are not as wanted, and whether each has another value now."""
    known = desk.loaded.config.models.providers.get(wanted.provider)
    have = {
        MODEL: _primary(desk),
        f"models.providers.{wanted.provider}.baseUrl": known.base_url if known else "",
    }
    found = {path: bool(have[path]) for path, value in wanted.settings.items() if have[path] != value}
    key = known.api_key if known else None
    if wanted.key is not None and not (key is not None and key.matches(wanted.key.reveal())):
        found[wanted.key_path] = _is_named(desk, wanted.key_path)
    return found


def _may_replace(desk: Desk, paths: list[str], *, replace: bool, ask: bool) -> None:
    if not paths or replace:
        return
    if ask:
        click.confirm(f"{', '.join(paths)}: something else is set in {desk.paths.config_path}. Replace it?", abort=True)
        return
    raise Conflict(
        f"{', '.join(paths)}: something else is set in {desk.paths.config_path}; nothing was changed.",
        hint="Give --replace to replace it.",
    )


def _try(desk: Desk, wanted: Wanted, *, ask: bool) -> tuple[dict[str, Any] | None, OpenClawError | None]:
    """Call the model once, after fetching it when it is a local one."""
    from openclaw.cli.command.model import probe
    from openclaw.cli.local_model import fetch, is_missing

    model = wanted.settings[MODEL]
    if ask and not click.confirm(f"Try {model} with one short call?", default=True):
        return None, None
    try:
        if is_missing(desk, model):
            fetch(desk, model.partition("/")[2])
        answer = run(probe(desk, model, QUESTION))
    except OpenClawError as error:
        output.print_error(error)
        click.echo("  The settings were written. Correct what is wrong, then: openclaw onboard --replace", err=True)
        return None, error
    click.echo(f"  {output.paint('answers', 'green')}    {plain(answer['text'])} ({answer['durationMs']} ms)")
    return answer, None


def _service(*, asked: bool, ask: bool) -> bool:
    """Install the service when it is wanted. Raises: what the installation raises, unless it was only offered."""
    from openclaw.cli.command.service import install_service

    if not asked and not (ask and click.confirm("Have the system keep the gateway running?", default=False)):
        return False
    try:
        run(install_service("user"))
    except OpenClawError as error:
        if asked:
            raise
        output.print_error(error)
        return False
    return True


def _directions(desk: Desk, wanted: Wanted, *, installed: bool) -> None:
    from openclaw.cli.hosting import program

    me = program()
    start = f"{me} gateway status     the service" if installed else f"{me} up                 start, then chat"
    click.echo(
        f"""
Next:
  {start}
  {me} chat               talk to {wanted.settings[MODEL]}
  {me} dashboard          the address for a browser
  {me} doctor             what is wrong, and how to mend it
  settings: {desk.paths.config_path}"""
    )
