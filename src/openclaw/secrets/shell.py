"""Variables that only the login shell knows: what a desktop or a service manager starts never saw its profile.

1. Asked only where `env.shellEnv.enabled` or OPENCLAW_LOAD_SHELL_ENV=1 says so, once, and bounded in time and output.
2. Taken are only variables that are expected (the providers' usual names, and what the configuration refers to) and
   that no other source has. They come last: nothing is ever overridden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from openclaw.base.errors import Unavailable
from openclaw.base.secret import Secret
from openclaw.config.env import DOCUMENTED_VARIABLES, Environment
from openclaw.config.load import Loaded
from openclaw.processes.spawner import Spawner

ASK: Final = "OPENCLAW_LOAD_SHELL_ENV"
SOURCE: Final = "login shell"
MAX_BYTES: Final = 1_048_576
_INHERITED: Final = ("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LC_*", "TMPDIR", "XDG_*")
_NAME: Final = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
_OTHERS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "VAULT_TOKEN")
_OWN: Final = ("OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD")
_NO_SHELLS: Final = frozenset(("nologin", "false"))


class Shell:
    """The login shell of the user that the gateway runs as. `on_secret` hears of every value that is taken."""

    def __init__(self, on_secret: Callable[[Secret], None]) -> None:
        self._on_secret = on_secret
        self._asked = False
        self._values: dict[str, str] = {}
        self._problem = ""

    def is_wanted(self, loaded: Loaded) -> bool:
        """Whether it is still to be asked."""
        return not self._asked and _enabled(loaded) and any(True for _ in missing(loaded))

    def is_unwanted(self, loaded: Loaded) -> bool:
        """Whether what it said is no longer to be used."""
        return self._asked and not _enabled(loaded)

    def added_to(self, env: Environment) -> Environment:
        """Return the environment with what the shell said, as its last resort."""
        if self._problem:
            env = env.with_problems(self._problem)
        return env.with_last_resort(SOURCE, self._values) if self._values else env

    async def ask(self, loaded: Loaded, spawner: Spawner) -> None:
        """Start the shell, once, and keep what is expected and missing."""
        self._asked = True
        shell = loaded.env.get("SHELL") or "/bin/sh"
        timeout_ms = loaded.config.env.shell_env.timeout_ms
        if not Path(shell).is_absolute() or Path(shell).name in _NO_SHELLS:
            self._problem = f"the login shell was not asked: {shell} is none"
            return
        try:
            # Profiles print what they like, and complain of what they like: none of it is logged.
            done = await spawner.run(
                (shell, "-l", "-c", "printf '\\0OPENCLAW\\0'; exec env -0"),
                name="login-shell",
                allow=_INHERITED,
                env={"TERM": "dumb"},
                log_stderr=False,
                timeout_s=timeout_ms / 1000,
                max_output_bytes=MAX_BYTES,
            )
        except TimeoutError:
            self._problem = f"the login shell {shell} took longer than {timeout_ms} ms and was ended"
            return
        except OSError as error:
            self._problem = f"the login shell {shell} cannot be run: {error.strerror}"
            return
        except Unavailable as error:
            self._problem = f"the login shell {shell} cannot be run: {error.message}"
            return
        if done.returncode or done.truncated:
            why = "wrote too much" if done.truncated else f"ended with status {done.returncode}"
            self._problem = f"the login shell {shell} {why}; nothing was taken from it"
            return
        self._take(done.stdout, frozenset(missing(loaded)))

    def _take(self, output: bytes, wanted: frozenset[str]) -> None:
        said = output.rpartition(b"\0OPENCLAW\0")[2]
        for line in said.split(b"\0"):
            name, _, value = line.partition(b"=")
            if value and (key := name.decode("utf-8", "replace")) in wanted:
                self._values[key] = value.decode("utf-8", "replace")
                self._on_secret(Secret(self._values[key]))


def _enabled(loaded: Loaded) -> bool:
    says = (loaded.env.get(ASK) or "").strip().lower()
    return says in ("1", "true", "yes", "on") if says else loaded.config.env.shell_env.enabled


def missing(loaded: Loaded) -> Iterator[str]:
    """Yield the variables that are expected and that no source has."""
    known = (name for name in DOCUMENTED_VARIABLES if not name.startswith("OPENCLAW_") and name != "PORT")
    named = (placed.reference.id for placed in loaded.references if placed.reference.source == "env")
    for name in dict.fromkeys((*known, *_OTHERS, *_OWN, *_referred(loaded.parsed), *named)):
        if not loaded.env.get(name):
            yield name


def _referred(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _NAME.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _referred(item)
    elif isinstance(value, list):
        for item in value:
            yield from _referred(item)
