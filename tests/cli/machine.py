"""This machine's own system, booted by a real systemd in a container, over an overlay that is thrown away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cli.gateway_process import wait_until

BOOT_S = 20.0
_GROUPS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup")
_BOOT = """\
set -e
cd "$1"; mkdir layers; mount -t tmpfs tmpfs layers; cd layers; mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
for top in {groups}; do
  # Two machines that were given one group would take each other's services for their own.
  [ -w $top/cgroup.procs ] && mkdir $top/$2 && echo $$ > $top/$2/cgroup.procs
done
exec systemd-nspawn --quiet --directory=root --machine="$2" --register=no --keep-unit --private-network \\
  --link-journal=no --console=pipe --boot -- --unit=basic.target
"""


def why_not() -> str:
    """Say why no machine can be booted here, "" when one can be tried."""
    if sys.platform != "linux" or os.geteuid():
        return "systemd-nspawn needs root on Linux"
    if missing := [name for name in ("systemd-nspawn", "unshare", "nsenter") if shutil.which(name) is None]:
        return f"{missing[0]} is not installed (Debian: apt install systemd-container util-linux)"
    # The overlay shows what is on the root's own file system, and the container has a /tmp of its own.
    for needed in (Path(sys.executable).absolute(), Path(__file__)):
        if needed.stat().st_dev != Path("/").stat().st_dev or needed.is_relative_to("/tmp"):
            return f"{needed} would not be seen in the container"
    return ""


class Machine:
    """A booted machine. Whatever is done in it is gone with it."""

    def __init__(self, init: int) -> None:
        self._init = init

    def run(self, *argv: str, user: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end, as root or another user."""
        become = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--") if user else ()
        return subprocess.run(
            ["nsenter", f"--target={self._init}", "--all", "--", *become, *argv],
            env=_environment(env),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *argv: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program in it as root, whose words nobody reads."""
        entered = ["nsenter", f"--target={self._init}", "--all", "--", *argv]
        return subprocess.Popen(
            entered, env=_environment(env), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def says(self, *argv: str) -> str:
        """Run a program that must succeed; return what it printed."""
        done = self.run(*argv)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def writes(self, path: str, text: str) -> None:
        """Write a file in it."""
        self.says("sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"', "sh", path, text)


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "LC_ALL": "C.UTF-8", **kept, **(more or {})}


@contextmanager
def booted() -> Iterator[Machine | str]:
    """Boot a machine for the block; give why it cannot be when systemd does not come up here."""
    folder = Path(tempfile.mkdtemp(prefix="machine-", dir="/var/tmp"))  # seen by the container, unlike /tmp
    name = f"openclaw-{os.getpid()}"
    log = (folder / "boot.log").open("wb")
    host = subprocess.Popen(
        [
            "unshare",
            "--mount",
            "--propagation=private",
            "sh",
            "-c",
            _BOOT.format(groups=" ".join(_GROUPS)),
            "sh",
            str(folder),
            name,
        ],
        env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    log.close()
    init = 0
    try:
        init = _init(host)
        machine = Machine(init) if init and _is_up(Machine(init)) else None
        yield machine or f"systemd does not come up in a container here: {(folder / 'boot.log').read_text()[-500:]}"
    finally:
        if init and host.poll() is None:
            os.kill(init, signal.SIGKILL)  # the first process: its whole world ends with it
        else:
            host.kill()
        host.wait(BOOT_S)
        _remove_groups(name)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_groups(name: str) -> None:
    for top in _GROUPS:
        for folder in sorted(Path(top, name).rglob("*/"), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            Path(top, name).rmdir()


def _init(host: subprocess.Popen[bytes]) -> int:
    """Return the machine's first process, 0 when it has none."""
    found: list[int] = []

    def born() -> bool:
        with suppress(OSError):
            children = Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
            # Not `systemd-nspawn`: a copy of it comes first, and is gone in a moment.
            found[:] = [int(pid) for pid in children if Path(f"/proc/{pid}/exe").readlink().name == "systemd"]
        return bool(found) or host.poll() is not None

    wait_until(born, BOOT_S)
    return found[0] if found else 0


def _is_up(machine: Machine) -> bool:
    end = time.monotonic() + BOOT_S
    while time.monotonic() < end:
        if machine.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
            return True
        time.sleep(0.05)
    return False
