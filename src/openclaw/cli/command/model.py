"""`openclaw models`: which models there are and what they cost, fetch a local one, choose, try."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openclaw.base.errors import ModelError
from openclaw.cli import output
from openclaw.cli.command.usage import days_option, report
from openclaw.cli.completing import model_refs
from openclaw.cli.desk import Desk, run
from openclaw.cli.local_model import fetch, is_missing
from openclaw.cli.reach import Reach, gateway_options

if TYPE_CHECKING:
    from openclaw.base.model import ModelInfo
    from openclaw.models.refresh import Refreshed

PROBE_TOKENS = 64


@click.group()
def models() -> None:
    """List the models, fetch a local one, choose the one agents use, and try it.

    \b
    Examples:
      openclaw models pull qwen2.5-coder-1.5b
      openclaw models set embedded/qwen2.5-coder-1.5b
      openclaw models test
    """


@models.command(name="list")
@output.json_option
def list_(as_json: bool) -> None:
    """List the models that can be named in the configuration.

    \b
    Examples:
      openclaw models list
      openclaw models list --json
    """
    found, default = run(_all(Desk()))
    if as_json:
        output.emit_json([{"ref": model.ref, "default": model.ref == default, **_facts(model)} for model in found])
        return
    output.table(
        ["model", "context", "tools", "images", "$ per M tokens", "state"],
        [
            (
                f"{model.ref}{' (default)' if model.ref == default else ''}",
                f"{model.context_tokens:,}",
                "yes" if model.tools else "no",
                "yes" if model.images else "no",
                _price(model),
                _state(model),
            )
            for model in found
        ],
    )


def _price(model: ModelInfo) -> str:
    """Input and output; what long prompts and the cache cost besides stands in --json."""
    if model.input_usd_micros is None or model.output_usd_micros is None:
        return "unknown"
    if not (model.input_usd_micros or model.output_usd_micros):
        return "free"
    return f"{model.input_usd_micros / 1e6:g} in, {model.output_usd_micros / 1e6:g} out"


def _state(model: ModelInfo) -> str:
    if model.available:
        return "ready"
    return f"openclaw models pull {model.id}" if model.provider == "embedded" else "not available"


async def _all(desk: Desk) -> tuple[list[ModelInfo], str]:
    """Return the models, local ones marked by whether their file is here, and the default one."""
    import msgspec

    async with desk.registry() as registry:
        found = [
            msgspec.structs.replace(model, available=False) if is_missing(desk, model.ref) else model
            for model in registry.models()
        ]
        return found, desk.default_model(registry)


def _facts(model: ModelInfo) -> dict[str, Any]:
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(model)
    return facts


@models.command()
@output.json_option
def status(as_json: bool) -> int:
    """Say which model answers, which local ones are here, and what is wrong. Exit 1 when the default cannot answer.

    \b
    Example:
      openclaw models status
    """
    from openclaw.models.local.pull import installed

    desk = Desk()
    default, problems = run(_default_and_problems(desk))
    local = {name: entry.size for name, entry in installed(desk.paths.cache_dir).items()}
    ready = default.partition("/")[0] not in problems and not is_missing(desk, default)
    if as_json:
        output.emit_json({"default": default, "ready": ready, "local": local, "problems": problems})
        return 0 if ready else 1
    output.fields({"default": f"{default} ({'ready' if ready else 'not ready'})", "folder": desk.paths.cache_dir})
    for name, size in local.items():
        click.echo(f"  embedded/{name}  {size / 1e6:,.0f} MB")
    for name, problem in problems.items():
        click.echo(f"{output.mark('warning')}  {name}: {problem}")
    return 0 if ready else 1


async def _default_and_problems(desk: Desk) -> tuple[str, dict[str, str]]:
    async with desk.registry() as registry:
        default, problems = desk.default_model(registry), registry.problems()
        try:
            registry.resolve(default)
        except ModelError as error:
            problems.setdefault(default.partition("/")[0], error.message)
        return default, problems


@models.command(name="set")
@click.argument("ref", metavar="PROVIDER/MODEL", shell_complete=model_refs)
def set_(ref: str) -> None:
    """Make a model the default of all agents that name none of their own.

    \b
    Example:
      openclaw models set anthropic/claude-sonnet-4-5
    """
    from openclaw.cli.command.config import write_setting

    desk = Desk()
    run(_resolve(desk, ref))
    write_setting(desk, "agents.defaults.model", ref)


async def _resolve(desk: Desk, ref: str) -> None:
    async with desk.registry() as registry:
        registry.resolve(ref)


@models.command()
@click.argument("ref", metavar="[PROVIDER/MODEL]", default="", shell_complete=model_refs)
@click.option("--message", "-m", default="Say hello in three words.", show_default=True, help="What to say to it.")
@output.json_option
def test(ref: str, message: str, as_json: bool) -> None:
    """Call a model alone, without the gateway, and print its answer and how long it took.

    Without a name it is models.tiers.probe, else the default model.

    \b
    Examples:
      openclaw models test
      openclaw models test embedded/smollm2 --message "Hello"
    """
    answer = run(probe(Desk(), ref, message))
    if as_json:
        output.emit_json({"ok": True, **answer})
    else:
        click.echo(answer["text"])
        click.echo(
            output.paint(
                f"{answer['model']}: {answer['outputTokens']} tokens in {answer['durationMs']} ms", "bright_black"
            )
        )


async def probe(desk: Desk, ref: str, message: str) -> dict[str, Any]:
    """Call a model once. Shape: model, text, outputTokens, durationMs. Raises: ModelError."""
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.base.message import user
    from openclaw.base.model import ModelRequest

    async with desk.registry() as registry:
        found = registry.resolve(ref or desk.loaded.config.models.tiers.probe or desk.default_model(registry))
        start = SYSTEM_CLOCK.monotonic_s()
        result = await found.client.generate(
            ModelRequest(model=found.info.id, messages=(user(message),), max_tokens=PROBE_TOKENS, purpose="probe")
        )
    took = int((SYSTEM_CLOCK.monotonic_s() - start) * 1000)
    return {
        "model": found.info.ref,
        "text": result.message.text,
        "outputTokens": result.usage.output_tokens,
        "durationMs": took,
    }


@models.command()
@days_option
@output.json_option
@gateway_options
def usage(reach: Reach, days: int, as_json: bool) -> None:
    """Show what each model was used for and cost; `openclaw usage` groups by more than models.

    \b
    Example:
      openclaw models usage --days 7
    """
    report(reach, "model", days, as_json=as_json)


@models.command()
@click.argument("name", default="smollm2")
@click.option("--from", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Your GGUF file.")
def pull(name: str, source: Path | None) -> None:
    """Fetch a local model (smollm2, qwen2.5-coder-1.5b), or take a GGUF file you have, and keep it in the cache folder.

    \b
    Examples:
      openclaw models pull smollm2
      openclaw models pull my-model --from ~/Downloads/my-model.gguf
    """
    fetch(Desk(), name, source=source)


@models.command()
@click.option("--from", "source", default="", metavar="FILE|URL", help="Instead of models.catalogRefresh.url.")
@output.json_option
def refresh(source: str, as_json: bool) -> None:
    """Take a newer catalog of models and prices. One that is not newer, or not sane, changes nothing.

    A running gateway uses it from its next start or reload on.

    \b
    Examples:
      openclaw models refresh --from https://example.com/model-catalog.json
      openclaw models refresh --from ./model-catalog.json
    """
    import msgspec

    from openclaw.base.errors import ConfigError

    desk = Desk()
    chosen = source or desk.loaded.config.models.catalog_refresh.url
    if not chosen:
        raise ConfigError("no catalog to take is named", hint="Give --from FILE|URL, or set models.catalogRefresh.url.")
    found = run(_refresh(desk, chosen))
    if as_json:
        output.emit_json(msgspec.to_builtins(found))
    elif found.kept:
        click.echo(
            f"Kept the catalog of {found.date} with {found.models} models; the one before was of {found.previous}."
        )
    else:
        click.echo(f"Nothing changed: that catalog is of {found.date}, the one in use of {found.previous}.")


async def _refresh(desk: Desk, source: str) -> Refreshed:
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.models.refresh import FILE_NAME
    from openclaw.models.refresh import refresh as take
    from openclaw.net.http import HttpClient
    from openclaw.net.onward import onward

    async with HttpClient(carrier=onward(desk.loaded)) as http:
        return await take(source, desk.paths.state_dir / FILE_NAME, http=http, clock=SYSTEM_CLOCK)
