"""`openclaw config`: read, check and patch the configuration. It works with and without a running gateway."""

from __future__ import annotations

from typing import Any

import click

from openclaw.base.errors import ConfigError, InvalidRequest, NotFound
from openclaw.cli import output
from openclaw.cli.desk import Desk, print_issues


@click.group()
def config() -> None:
    """Read, check and change the configuration; comments and order in the file survive.

    \b
    Examples:
      openclaw config get gateway.port
      openclaw config set agents.defaults.model anthropic/claude-sonnet-4-5
      openclaw config validate --strict
    """


@config.command()
@click.argument("path")
@output.json_option
def get(path: str, as_json: bool) -> None:
    """Print one setting as it is in force, secrets hidden; a part prints as JSON."""
    from openclaw.config.keypath import parse_path
    from openclaw.config.redaction.redact import redacted

    value: Any = redacted(Desk().loaded.config)
    for key in parse_path(path):
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            raise NotFound(f"There is no setting {path}.", hint="docs/settings.md lists every setting.") from None
    if as_json or not isinstance(value, str):
        output.emit_json(value)
    else:
        click.echo(value)


@config.command(name="set")
@click.argument("path")
@click.argument("value")
@click.option(
    "--json", "as_json", is_flag=True, help="VALUE must be JSON; otherwise what is no JSON5 is taken as text."
)
def set_(path: str, value: str, as_json: bool) -> None:
    """Set one setting in the file; a running gateway takes it up by itself.

    \b
    Examples:
      openclaw config set gateway.port 9000
      openclaw config set agents.defaults.limits '{steps: 20}'
    """
    write_setting(Desk(), path, _value(value, strict=as_json))


@config.command()
@click.argument("path")
def unset(path: str) -> None:
    """Remove one setting from the file, so that its default is in force."""
    from openclaw.config.writing.edit import require_json5, unset_value

    desk = Desk()
    require_json5(desk.paths.config_path)
    _write(desk, unset_value(desk.text, path), f"{path} is back to its default")


@config.command()
@output.json_option
def show(as_json: bool) -> None:
    """Print the whole configuration as it is in force, secrets hidden."""
    from openclaw.config.redaction.redact import redacted

    loaded = Desk().loaded
    if not as_json:
        click.echo(f"// {loaded.path} ({loaded.source})")
    output.emit_json(redacted(loaded.config))


@config.command()
@click.option("--strict", is_flag=True, help="Exit 1 on unknown keys and other warnings too.")
@output.json_option
def validate(strict: bool, as_json: bool) -> int:
    """Name every problem with its path and line. Exit 1 on errors, 78 when the gateway would refuse to start."""
    from openclaw.config.refusal import refusals

    loaded = Desk().loaded
    refused = refusals(loaded)
    worst = {issue.severity for issue in loaded.issues}
    code = 78 if refused else int("error" in worst or (strict and bool(worst)))
    if as_json:
        found = {"valid": loaded.valid and not refused, "path": str(loaded.path), "exists": loaded.exists}
        output.emit_json(
            {**found, "issues": [each.as_dict() for each in loaded.issues], "refusals": [e.as_dict() for e in refused]}
        )
        return code
    print_issues(loaded)
    for error in refused:
        output.print_error(error)
    if not refused and not loaded.issues:
        click.echo(f"{output.paint('valid', 'green')}: {loaded.path}{'' if loaded.exists else ' (no file: defaults)'}")
    return code


@config.command()
def file() -> None:
    """Print the path of the configuration file."""
    click.echo(Desk().paths.config_path)


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    from openclaw.config.schema.describe import json_schema

    output.emit_json(json_schema())


@config.command()
@output.json_option
def env(as_json: bool) -> None:
    """List the variables that openclaw knows: whether each is set and where, never its value."""
    from openclaw.config.env import DOCUMENTED_VARIABLES

    found = Desk().loaded.env
    rows = [(name, found.source(name), doc) for name, doc in DOCUMENTED_VARIABLES.items()]
    if as_json:
        output.emit_json([{"name": name, "set": source is not None, "source": source} for name, source, _ in rows])
    else:
        output.table(["variable", "set by", "what it does"], [(name, source or "-", doc) for name, source, doc in rows])


def write_setting(desk: Desk, path: str, value: Any) -> None:
    """Set one setting in the file, checked before it is written."""
    from openclaw.config.writing.edit import require_json5, set_value

    require_json5(desk.paths.config_path)
    _write(desk, set_value(desk.text, path, value), f"{path} is set")


def _value(text: str, *, strict: bool) -> Any:
    import msgspec
    import pyjson5

    try:
        return msgspec.json.decode(text) if strict else pyjson5.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"VALUE is not JSON: {error}", hint="Leave out --json to give it as text.") from None
    except pyjson5.Json5Exception:
        return text


def _write(desk: Desk, text: str, done: str) -> None:
    """Write a candidate that makes nothing worse than it was, and say what is left to mend."""
    from openclaw.config.load import load_text
    from openclaw.config.refusal import refusals
    from openclaw.config.writing.edit import write_config

    before = {str(issue) for issue in desk.loaded.issues if issue.severity == "error"}
    after = load_text(text, desk.paths, desk.env)
    worse = [str(issue) for issue in after.issues if issue.severity == "error" and str(issue) not in before]
    worse += [error.message for error in refusals(after)]
    if worse:
        raise ConfigError(
            f"Nothing was written: {'; '.join(worse)}", hint="docs/settings.md has each setting's values."
        )
    write_config(desk.paths.config_path, text, desk.loaded.hash)
    click.echo(f"{done} in {desk.paths.config_path}")
    print_issues(after)
