"""A Docker engine for tests: the machine's own, else one that is started for them and ends with them."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE = "openclaw-test-sandbox:1"
START_S = 20.0
PROGRAMS = ("sh", "cat", "ls", "touch", "id", "grep", "sleep", "echo", "wget", "mount", "setsid", "ps", "mknod")


@contextmanager
def engine() -> Iterator[str]:
    """Have an engine with the image IMAGE; give why there is none, or nothing. Sets DOCKER_HOST for its own."""
    if shutil.which("docker") is None or shutil.which("busybox") is None:
        yield "docker or busybox is not installed (Debian: apt install docker.io busybox)"
        return
    if _answers():
        yield _image()
        return
    if os.geteuid() or shutil.which("dockerd") is None:
        yield "no docker engine answers, and none can be started (that needs root and dockerd)"
        return
    folder = Path(tempfile.mkdtemp(prefix="dockerd-", dir="/var/tmp"))  # an overlay on an overlay is none
    os.environ["DOCKER_HOST"] = f"unix://{folder}/sock"
    log = (folder / "log").open("wb")
    # No bridge and no rules: containers of ours have no network, and the machine's is not touched.
    process = subprocess.Popen(
        ["dockerd", "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "--pidfile",
         str(folder / "pid"), "--host", os.environ["DOCKER_HOST"], "--bridge=none", "--iptables=false",
         "--ip6tables=false", "--default-ulimit", "nofile=4096:4096"],
        stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    log.close()
    try:
        end = time.monotonic() + START_S
        while not _answers() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        yield _image() if _answers() else f"dockerd does not start here: {(folder / 'log').read_text()[-300:]}"
    finally:
        del os.environ["DOCKER_HOST"]
        process.send_signal(signal.SIGTERM)
        process.wait(START_S)
        shutil.rmtree(folder, ignore_errors=True)


def _answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode == 0


def _image() -> str:
    """Make a small image of the machine's own busybox, out of no registry. Return why that cannot be, or nothing."""
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0:
        return ""
    busybox = Path(shutil.which("busybox") or "").resolve()
    needed = subprocess.run(["ldd", str(busybox)], capture_output=True, text=True, check=False).stdout
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for path in [Path(each) for each in re.findall(r"/\S+", needed)]:
            tar.add(path.resolve(), str(path).lstrip("/"))
        tar.add(busybox, "bin/busybox")
        for name in PROGRAMS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    done = subprocess.run(["docker", "import", "-", IMAGE], input=whole.getvalue(), capture_output=True, check=False)
    return done.stderr.decode() if done.returncode else ""
