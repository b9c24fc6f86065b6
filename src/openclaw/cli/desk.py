"""What commands need of the other rooms, each loaded on first use: the state on disk, and a line to the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openclaw.base.errors import InvalidRequest, ModelError
from openclaw.cli import output

if TYPE_CHECKING:
    from openclaw.config.env import Environment
    from openclaw.config.load import Draft, Loaded
    from openclaw.config.paths import StatePaths
    from openclaw.models.registry import ModelRegistry

T = TypeVar("T")


class Desk:
    """The state directory as this process sees it: paths, environment, configuration."""

    def __init__(self, config_path: Path | None = None) -> None:
        self._config_path = config_path

    @cached_property
    def env(self) -> Environment:
        """The environment in the order of precedence of the manual."""
        from openclaw.config.env import load_environment

        return load_environment(Path.cwd())

    @cached_property
    def paths(self) -> StatePaths:
        """Where the state lives."""
        from openclaw.config.paths import resolve_paths

        return resolve_paths(self.env, self._config_path)

    @cached_property
    def loaded(self) -> Loaded:
        """The configuration with its issues, and the secrets that it names."""
        from openclaw.config.load import load
        from openclaw.config.redaction.secret_values import known_secrets
        from openclaw.telemetry.redact import REDACTOR

        found = self.whole(load(self.paths, self.env))
        for secret in known_secrets(found):
            REDACTOR.add(secret)
        if found.source == "last-good":
            click.echo(f"Note: {found.path} cannot be read; what follows goes by the last one that worked.", err=True)
        return found

    def read(self, text: str) -> Loaded:
        """Return what a text would say as the configuration file. Raises: ConfigError when it does not parse."""
        from openclaw.config.load import Draft, load_text

        return self.whole(load_text(text, self.paths, self.env), Draft(text))

    def whole(self, loaded: Loaded, draft: Draft | None = None) -> Loaded:
        """Return a configuration with the secrets and variables that it refers to elsewhere."""
        says = self.env.get("OPENCLAW_LOAD_SHELL_ENV")
        if not (loaded.references or says or loaded.config.env.shell_env.enabled):
            return loaded  # the common case, which needs none of the rooms below
        from concurrent.futures import ThreadPoolExecutor

        from openclaw.base.clock import SYSTEM_CLOCK
        from openclaw.secrets.room import SecretRoom
        from openclaw.telemetry.redact import REDACTOR

        room = SecretRoom(self.paths, SYSTEM_CLOCK, REDACTOR.add)
        with ThreadPoolExecutor(1) as apart:  # a command may ask from within its own loop
            return apart.submit(run, room.load(self.env, draft=draft)).result()

    @property
    def text(self) -> str:
        """The configuration file's text as it is on disk; "" when there is none."""
        return self.loaded.raw

    @asynccontextmanager
    async def registry(self) -> AsyncIterator[ModelRegistry]:
        """Offer the configured models and their wire clients; local models run in a child that ends with the block."""
        from openclaw.base.clock import SYSTEM_CLOCK
        from openclaw.models.calling.credentials import Credentials
        from openclaw.models.embedded.factory import embedded_factory
        from openclaw.models.refresh import FILE_NAME
        from openclaw.models.registry import ModelRegistry
        from openclaw.net.http import HttpClient
        from openclaw.net.onward import onward
        from openclaw.processes.spawner import Spawner
        from openclaw.telemetry.redact import REDACTOR

        credentials = Credentials(self.paths.state_dir, clock=SYSTEM_CLOCK, on_secret=REDACTOR.add)
        credentials.load()
        http, spawner = HttpClient(carrier=onward(self.loaded)), Spawner(self.env)
        registry = ModelRegistry(
            self.loaded.config.models,
            env=self.loaded.env.get,
            http=http,
            embedded=embedded_factory(self.paths.cache_dir, http, spawner, SYSTEM_CLOCK),
            clock=SYSTEM_CLOCK,
            catalog_path=self.paths.state_dir / FILE_NAME,
            credentials=credentials.first,
        )
        try:
            yield registry
        finally:
            await registry.close()
            await spawner.close()
            await http.close()

    def forget_env(self) -> None:
        """Read the environment again at its next use; the configuration stays as it was read."""
        self.__dict__.pop("env", None)

    def forget(self) -> None:
        """Read everything again at its next use."""
        for name in ("env", "paths", "loaded"):
            self.__dict__.pop(name, None)

    def workspace(self) -> Path:
        """Return the folder that the default agent's file tools work in."""
        from openclaw.config.env import expand

        chosen = self.loaded.config.agents.defaults.workspace
        return expand(self.env, chosen) if chosen else self.paths.workspace

    def default_model(self, registry: ModelRegistry) -> str:
        """Return the `provider/model` that an agent without one of its own uses."""
        chosen = self.loaded.config.agents.defaults.model
        ref = (chosen if isinstance(chosen, str) else chosen.primary) or registry.default_ref()
        try:
            return registry.full_ref(ref)
        except ModelError:
            return ref  # whoever calls it says what is wrong with it


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end."""
    import asyncio

    return asyncio.run(work)


def json_object(text: str, what: str) -> dict[str, Any]:
    """Parse JSON from a flag. Raises: InvalidRequest naming the flag."""
    import msgspec

    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"{what} is not JSON: {error}", hint=f"Quote it for the shell: {what} '{{}}'") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} must be a JSON object", hint=f"For example: {what} '{{}}'")
    return value


def print_issues(loaded: Loaded) -> None:
    """Print one line per issue of a configuration, errors first."""
    for issue in sorted(loaded.issues, key=lambda each: each.severity != "error"):
        click.echo(f"{output.mark(issue.severity)}  {issue}")
