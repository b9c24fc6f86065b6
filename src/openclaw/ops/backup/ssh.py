"""Backups in a folder of another machine, by rsync over ssh: its keys and known hosts are those of whoever runs this.

1. Nobody is asked anything: a host that is not known, or a key that needs a passphrase, is a failure that says so.
2. Only rsync runs over there, so that an account that is confined to it (`rrsync`) is enough.
3. Nothing of an address is ever an option or meets a shell.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from openclaw.base.errors import InvalidRequest, NotFound, NotSupported, Unavailable
from openclaw.base.tasks import TaskSet
from openclaw.ops.backup.destination import MAX_LISTED, SSH, nothing
from openclaw.ops.backup.retention import Stored, newest_first, stored
from openclaw.processes.environment import BASIC, EnvironmentSource
from openclaw.processes.spawner import Completed, Spawner

QUICK_S: Final = 60.0
TRANSFER_S: Final = 6 * 3600.0
LOOK_S: Final = 0.5
"""How often it is asked whether a transfer shall go on."""
MAX_OUTPUT_BYTES: Final = 4 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]+")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/@+-]+")
_LISTED: Final = re.compile(r"-\S+\s+([\d,.]+)\s+\S+\s+\S+\s(.+)")
_MISSING: Final = "no such file or directory"


class RemoteFolder:
    """One folder of one machine: `ssh://USER@HOST:PORT/FOLDER`; `/~/FOLDER` is below the user's home."""

    def __init__(
        self, url: str, environment: EnvironmentSource, *, identity: Path | None = None, known_hosts: Path | None = None
    ) -> None:
        self._host, self._port, self._folder = _parts(url)
        self._environment = environment
        quiet = ("-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oConnectTimeout=15", "-oServerAliveInterval=15")
        own = [] if identity is None else [_setting("IdentityFile", identity), "-oIdentitiesOnly=yes"]
        own += [] if known_hosts is None else [_setting("UserKnownHostsFile", known_hosts)]
        port = [] if self._port is None else [f"-p{self._port}"]
        self._shell = " ".join(("ssh", "-T", *quiet, *own, *port))

    @property
    def place(self) -> str:
        """See Destination."""
        port = "" if self._port is None else f":{self._port}"
        return f"{SSH}{self._host}{port}/{self._folder.removeprefix('/') if self._folder[:1] == '/' else self._home}"

    @property
    def _home(self) -> str:
        return f"~/{self._folder}"

    def put(self, archive: Path, go_on: Callable[[], None] = nothing) -> str:
        """See Destination. rsync gives it its name when all of it is there."""
        argv = ("--perms", "--chmod=D700,F600", "--mkpath", "--", str(archive), self._there(archive.name))
        self._must("storing", self._rsync(argv, TRANSFER_S, go_on))
        return f"{self.place.rstrip('/')}/{archive.name}"

    def list(self) -> list[Stored]:
        """See Destination."""
        done = self._rsync(("--list-only", "--no-human-readable", "--", self._there("")), QUICK_S)
        if done.returncode and _MISSING in done.stderr_tail.lower():
            return []
        self._must("listing", done)
        lines = (_LISTED.fullmatch(line) for line in done.stdout.decode(errors="replace").splitlines())
        sizes = [(found[2], int(re.sub(r"\D", "", found[1]))) for found in lines if found]
        return newest_first([kept for name, size in sizes if (kept := stored(name, size)) is not None])[:MAX_LISTED]

    def fetch(self, name: str, target: Path) -> None:
        """See Destination."""
        done = self._rsync(("--perms", "--chmod=F600", "--", self._there(name), str(target)), TRANSFER_S)
        if done.returncode and _MISSING in done.stderr_tail.lower():
            raise NotFound(f"there is no backup {name} in {self.place}")
        self._must("fetching", done)

    def delete(self, name: str) -> None:
        """See Destination. An empty folder is laid over that one name."""
        with tempfile.TemporaryDirectory(prefix="openclaw-nothing-") as empty:
            only = ("--recursive", "--delete", f"--include=/{name}", "--exclude=*")
            self._must("deleting", self._rsync((*only, "--", f"{empty}/", self._there("")), QUICK_S))

    def _there(self, name: str) -> str:
        host = f"[{self._host}]" if _has_colon(self._host) else self._host
        return f"{host}:{self._folder.rstrip('/')}/{name}"

    def _rsync(self, arguments: Sequence[str], timeout_s: float, go_on: Callable[[], None] = nothing) -> Completed:
        # An account that is confined to rsync may refuse it; only an odd folder needs it, against the other shell.
        apart = () if _PLAIN.fullmatch(self._folder) else ("--secluded-args",)
        argv = ("rsync", *apart, f"--rsh={self._shell}", *arguments)
        try:
            return asyncio.run(_finished(argv, self._environment, timeout_s, go_on))
        except FileNotFoundError:
            raise NotSupported(
                "backups over ssh need rsync, which is not installed",
                hint="Install it on both machines: apt install rsync openssh-client",
            ) from None
        except TimeoutError:
            raise Unavailable(f"{self.place} did not finish within {timeout_s:.0f} s") from None

    def _must(self, what: str, done: Completed) -> None:
        if done.returncode == 0:
            return
        said = [line for line in done.stderr_tail.splitlines() if line.strip() and not line.startswith("rsync error")]
        raise Unavailable(
            f"{what} in {self.place}: {' '.join(said)[:300] or f'rsync ended with {done.returncode}'}",
            hint=_hint(done.stderr_tail.lower(), self._host),
        )


def _hint(said: str, host: str) -> str:
    if "host key verification failed" in said:
        return f"Make the host known to the gateway's user: compare its fingerprint, then `ssh {host}` once."
    if "permission denied (" in said:
        return "Give the gateway's user a key without a passphrase that the host takes, or set backup.sshKey."
    if "not found" in said:
        return "Install rsync on the other machine too."
    return "Try as the gateway's user: rsync --list-only to the same place."


async def _finished(
    argv: Sequence[str], environment: EnvironmentSource, timeout_s: float, go_on: Callable[[], None]
) -> Completed:
    spawner, tasks = Spawner(environment), TaskSet("rsync")
    try:
        running = tasks.spawn(
            spawner.run(
                argv,
                allow=(*BASIC, "SSH_AUTH_SOCK"),
                env={"LC_ALL": "C"},
                timeout_s=timeout_s,
                max_output_bytes=MAX_OUTPUT_BYTES,
            ),
            "transfer",
        )
        while True:
            done, _ = await asyncio.wait((running,), timeout=LOOK_S)
            if done:
                return running.result()
            go_on()
    finally:
        await tasks.close()
        await spawner.close()


def _parts(url: str) -> tuple[str, int | None, str]:
    """Return (user and host, port, folder: absolute, or below the home). Raises: InvalidRequest."""
    problem = InvalidRequest(
        f"not a folder of another machine: {url[:80]!r}", hint="Write ssh://USER@HOST:PORT/FOLDER."
    )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise problem from None
    user, folder = unquote(parts.username or ""), unquote(parts.path)
    plain = _NAME.fullmatch(host) or (_has_colon(host) and _ADDRESS.fullmatch(host))
    if not url.startswith(SSH) or not plain or (user and not _NAME.fullmatch(user)) or parts.password:
        raise problem
    if parts.query or parts.fragment or not folder.strip("/") or any(ord(each) < 32 for each in folder):
        raise problem
    home = folder.removeprefix("/~/")
    return (f"{user}@{host}" if user else host), port, home.lstrip("/") if home != folder else folder


def _has_colon(host: str) -> bool:
    return ":" in host


def _setting(name: str, path: Path) -> str:
    """Return one word of `--rsh`: rsync takes the outer quotes away, ssh the inner ones. Raises: InvalidRequest."""
    text = str(path).replace("%", "%%")
    if any(each in "\"'\\" or ord(each) < 32 for each in text):
        raise InvalidRequest(f"{path} has characters that ssh cannot be given")
    return f"'-o{name}=\"{text}\"'"
