"""The environment: the one room that reads os.environ, and the rule which source wins.

1. the process; 2. `.env` in the working directory; 3. `.env` in the state directory; 4. the config's `env` block;
5. the login shell, where it was asked.
The first source that has a non-empty value wins: an empty variable is what a missing one becomes in compose files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

MAX_ENV_FILE_BYTES = 1_000_000

DOCUMENTED_VARIABLES: Mapping[str, str] = {
    "OPENCLAW_HOME": "Replaces the home directory for everything the gateway stores.",
    "OPENCLAW_STATE_DIR": "State directory; default `~/.openclaw`.",
    "OPENCLAW_CONFIG_PATH": "Configuration file, JSON5 or YAML (`.yaml`, `.yml`); default `<state>/openclaw.json`, "
    "and when there is none `/etc/openclaw/config.yaml`, if that exists.",
    "OPENCLAW_CONFIG_READONLY": "`1`: nothing here writes the configuration file; commands and clients say what to do.",
    "OPENCLAW_WORKSPACE_DIR": "Folder that file tools work in; default `<state>/workspace`.",
    "OPENCLAW_CACHE_DIR": "Folder for model files; default `$XDG_CACHE_HOME/openclaw/models`.",
    "OPENCLAW_GATEWAY_TOKEN": "Sets `gateway.auth.token`.",
    "OPENCLAW_GATEWAY_PASSWORD": "Sets `gateway.auth.password`.",
    "OPENCLAW_GATEWAY_PORT": "Sets `gateway.port`.",
    "PORT": "Sets `gateway.port` when OPENCLAW_GATEWAY_PORT does not; hosting platforms set it.",
    "SETUP_PASSWORD": "Opens `/setup`, the set-up in a browser, to whoever knows it; see docs/setup.md.",
    "OPENCLAW_GATEWAY_BIND": "Sets `gateway.bind`.",
    "OPENCLAW_PUBLIC_BASE_URL": "Sets `gateway.publicBaseUrl`.",
    "OPENCLAW_TRUSTED_PROXIES": "Sets `gateway.trustedProxies`: addresses and networks, with commas between them.",
    "OPENCLAW_LOG_LEVEL": "Sets `logging.level`.",
    "OPENCLAW_BACKUP_PASSPHRASE": "Sets `backup.passphrase`.",
    "OPENCLAW_LLM_PROVIDER": "Provider (or `provider/model`) of agents without a model; beats `agents.defaults.model`.",
    "ANTHROPIC_API_KEY": "Key for Anthropic's API.",
    "OPENAI_API_KEY": "Key for OpenAI's API.",
    "AWS_REGION": "Region of the provider `bedrock`; AWS_DEFAULT_REGION does as well.",
    "AWS_BEARER_TOKEN_BEDROCK": "Key for Amazon Bedrock; without it AWS' usual credential chain is asked.",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "Address to call Amazon Bedrock at, instead of the region's own.",
    "OPENCLAW_SUPERVISED": "`1` says that something starts the gateway again when it ends with a code other than 0: "
    "then gateway.restart.request works. systemd is noticed without it.",
    "OPENCLAW_LOAD_SHELL_ENV": "`1` asks the login shell for expected variables that nobody else has, `0` does not; "
    "beats `env.shellEnv.enabled`.",
    "VAULT_ADDR": "Address of HashiCorp Vault for secrets; VAULT_TOKEN and VAULT_NAMESPACE belong to it.",
    "OLLAMA_HOST": "Where Ollama runs, e.g. `127.0.0.1:11434`; with it the provider `ollama` needs no configuration.",
}

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_LINE = re.compile(
    rf"""[^\S\n]*(?:export[^\S\n]+)?(?P<name>{_NAME})[^\S\n]*=[^\S\n]*
    (?:"(?P<double>(?:[^"\\\n]|\\.)*)"|'(?P<single>[^'\n]*)'|(?P<bare>[^\n]*?))
    [^\S\n]*(?:(?<=[\s"'])\#[^\n]*)?""",
    re.VERBOSE,
)
_BLANK = re.compile(r"\s*(?:#.*)?")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse_env(text: str) -> tuple[dict[str, str], list[int]]:
    """Read `NAME=value` lines: `export`, quotes and comments as in a shell, no expansion of any kind.

    Shape: the values (a later line wins) and the numbers of the lines that are neither blank nor an assignment.
    """
    values: dict[str, str] = {}
    bad: list[int] = []
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff")), start=1):
        if found := _LINE.fullmatch(line):
            values[found["name"]] = _env_value(found)
        elif not _BLANK.fullmatch(line):
            bad.append(number)
    return values, bad


def _env_value(found: re.Match[str]) -> str:
    if found["double"] is not None:
        return _ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[1]), found["double"])
    return found["single"] if found["single"] is not None else found["bare"]


Layer: TypeAlias = tuple[str, Mapping[str, str]]
"""A source and what it says."""


class Environment:
    """Variables with the source of each, in order of precedence. It never changes; `with_layer` makes a new one."""

    __slots__ = ("_layers", "_resort", "problems")

    def __init__(
        self, layers: tuple[Layer, ...], problems: tuple[str, ...] = (), resort: tuple[Layer, ...] = ()
    ) -> None:
        self._layers = (*layers, *resort)
        self._resort = len(resort)
        self.problems = problems
        """Files and lines that could not be read, for people."""

    def get(self, name: str) -> str | None:
        """Return the value of the first source that has a non-empty one."""
        for _, values in self._layers:
            if value := values.get(name):
                return value
        return None

    def source(self, name: str) -> str | None:
        """Say where `get` finds the variable: `process`, a file, or `config env block`."""
        return next((source for source, values in self._layers if values.get(name)), None)

    def everywhere(self, name: str) -> list[tuple[str, str]]:
        """Return (source, value) of every source that sets the variable, the one that counts first."""
        return [(source, value) for source, values in self._layers if (value := values.get(name))]

    def names(self) -> list[str]:
        """Return the names of all variables that are set, sorted."""
        return sorted({name for _, values in self._layers for name, value in values.items() if value})

    def with_layer(self, source: str, values: Mapping[str, str]) -> Environment:
        """Return an environment that asks `values` after every other, but for a last resort."""
        layers, resort = self._split()
        return Environment((*layers, (source, values)), self.problems, resort)

    def with_last_resort(self, source: str, values: Mapping[str, str]) -> Environment:
        """Return an environment that asks `values` after every layer, also those that come to it later."""
        layers, resort = self._split()
        return Environment(layers, self.problems, (*resort, (source, values)))

    def with_problems(self, *problems: str) -> Environment:
        """Return the same environment with more to tell."""
        layers, resort = self._split()
        return Environment(layers, (*self.problems, *problems), resort)

    def _split(self) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
        at = len(self._layers) - self._resort
        return self._layers[:at], self._layers[at:]


def home_dir(env: Environment) -> Path:
    """Return the home directory that the gateway's files hang from."""
    chosen = env.get("OPENCLAW_HOME")
    return expand(env, chosen) if chosen else _user_home(env)


def state_dir_of(env: Environment) -> Path:
    """Return the state directory: OPENCLAW_STATE_DIR, else `.openclaw` in the home directory."""
    chosen = env.get("OPENCLAW_STATE_DIR")
    return expand(env, chosen) if chosen else home_dir(env) / ".openclaw"


def expand(env: Environment, text: str) -> Path:
    """Return the absolute path that a person meant; `~` is the user's home."""
    if text == "~" or text.startswith("~/"):
        return _user_home(env) / text[2:]
    return Path(text).absolute()


def _user_home(env: Environment) -> Path:
    home = env.get("HOME")
    return Path(home).absolute() if home else Path.home()


def load_environment(
    cwd: Path | None = None, state_dir: Path | None = None, environ: Mapping[str, str] | None = None
) -> Environment:
    """Read the process environment and the two `.env` files. It never raises for a file; see `problems`."""
    env = Environment((("process", dict(os.environ) if environ is None else environ),))
    env = _with_file(env, (cwd or Path.cwd()) / ".env")
    state_file = (state_dir or state_dir_of(env)) / ".env"
    return _with_file(env, state_file)


def _with_file(env: Environment, path: Path) -> Environment:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_ENV_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return env
    except OSError as error:
        return env.with_problems(f"{path}: not read: {error.strerror}")
    if len(raw) > MAX_ENV_FILE_BYTES:
        return env.with_problems(f"{path}: not read: larger than {MAX_ENV_FILE_BYTES} bytes")
    values, bad = parse_env(raw.decode(errors="replace"))
    problems = (f"{path}:{number}: not NAME=value, ignored" for number in bad)
    return env.with_layer(str(path), values).with_problems(*problems)
