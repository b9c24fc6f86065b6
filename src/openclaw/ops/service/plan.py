"""What a service is to run, with which paths; the texts of unit and plist are made from this and nothing else.

The same wish gives the same text on every call and from every shell: only so does a difference mean something.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal

import msgspec

from openclaw.base.errors import InvalidRequest

Scope = Literal["user", "system"]
Sandbox = Literal["full", "files", "none"]
"""All that systemd has; only what keeps it from writing elsewhere; nothing that needs namespaces of its own."""
MEMORY_MAX: Final = "2G"
WATCHDOG_S: Final = 60
"""A loop that has not turned for this long is ended and started again."""
RESTART_CODE: Final = 75
"""The exit code of a gateway that was asked to restart."""
BAD_CONFIG_CODE: Final = 78
"""The exit code of a gateway whose configuration must not start: starting it again would not help."""
ENV_FILE: Final = "service.env"
"""In the state directory, mode 0600: variables that only the service has, secrets among them."""

LAUNCHD_LOG: Final = "launchd.log"
"""In the logs folder: what a launchd service prints; launchd holds it open."""
RECORD: Final = "made from "
"""Stands before the record in a comment of the file."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway to be kept running.

    Shape: all paths absolute; `environment` holds paths and the like, never a secret; `user` is for the system scope;
    `sandbox` is less than full where the machine gives services no more.
    """

    scope: Scope
    argv: tuple[str, ...]
    state_dir: Path
    env_file: Path
    writable: tuple[Path, ...]
    readable: tuple[Path, ...] = ()
    """What it must be able to read although it may lie in somebody's home."""
    environment: tuple[tuple[str, str], ...] = ()
    user: str = ""
    memory_max: str = MEMORY_MAX
    sandbox: Sandbox = "full"

    def check(self) -> None:
        """Raises: InvalidRequest for what no unit file can hold: control characters, spaces at a path's ends."""
        texts = [
            *self.argv,
            *map(str, (self.state_dir, self.env_file, *self.writable, *self.readable)),
            *(part for pair in self.environment for part in pair),
            self.user,
            self.memory_max,
        ]
        for text in texts:
            if any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000 for char in text):
                raise InvalidRequest(
                    f"{text!r} has characters that a service file cannot hold",
                    hint="Use a state directory and an installation whose paths have printable characters only.",
                )
            if text != text.strip():
                raise InvalidRequest(
                    f"{text!r} begins or ends with a space, which a service file cannot hold",
                    hint="Use a state directory and an installation whose paths do not end in a space.",
                )
        if str(self.state_dir).endswith("\\"):  # at the end of a unit's line it would join the next one
            raise InvalidRequest(f"{self.state_dir} ends with a backslash, which a service file cannot hold")

    def in_homes(self) -> bool:
        """Say whether it needs anything below the folders that ProtectHome hides."""
        needed = (self.state_dir, *self.writable, *self.readable)
        return any(path.is_relative_to(home) for path in needed for home in ("/home", "/root", "/run/user"))


def record(service: Service) -> str:
    """Return what a service was planned as, for a comment in its file. Shape: ASCII JSON without `-` and `%`."""
    text = json.dumps(msgspec.to_builtins(service, enc_hook=str))
    return text.replace("-", "\\u002d").replace("%", "\\u0025").replace("$", "\\u0024")


def recorded(text: str) -> Service | None:
    """Return what an installed unit or plist was planned as, None when it does not say."""
    for line in text.splitlines()[:10]:
        _, found, rest = line.partition(RECORD)
        if found:
            try:
                return msgspec.json.decode(rest.removesuffix(" -->"), type=Service, dec_hook=_path)
            except (msgspec.DecodeError, ValueError):
                return None
    return None


def port_of(service: Service) -> int | None:
    """Return the port that a service was told to listen on, None for the configured one."""
    for flag, value in zip(service.argv, service.argv[1:], strict=False):
        if flag == "--port" and value.isdigit():
            return int(value)
    return None


def _path(kind: type, value: object) -> object:
    return kind(value)
