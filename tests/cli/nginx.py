"""A real nginx: the system's, else Debian's package unpacked into the cache of the tests."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.gateway_process import listens, wait_until

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openclaw-tests" / "nginx"


@functools.cache
def nginx() -> str:
    """Return the program; skip with the reason where there is none to be had."""
    if found := shutil.which("nginx"):
        return found
    program = CACHE / "usr" / "sbin" / "nginx"
    if not program.exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            pytest.skip("nginx is not installed, and this is no Debian to fetch it from")
        CACHE.mkdir(parents=True, exist_ok=True)
        got = subprocess.run(["apt-get", "download", "nginx"], cwd=CACHE, capture_output=True, timeout=120, check=False)
        packages = sorted(CACHE.glob("nginx_*.deb"))
        if got.returncode or not packages:
            pytest.skip("nginx is not installed, and apt-get cannot download it")
        subprocess.run(["dpkg", "-x", packages[-1], CACHE], check=True, timeout=60)
    tried = subprocess.run([program, "-v"], capture_output=True, timeout=10, check=False)
    if tried.returncode:
        pytest.skip(f"nginx does not start here: {tried.stderr.decode(errors='replace')}")
    return str(program)


@contextmanager
def serving_nginx(folder: Path, port: int, server: str) -> Iterator[None]:
    """Run nginx with a server block, of which `listen 443 ssl;` becomes a port of this machine."""
    program = nginx()
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    temporary = "\n".join(
        f"    {name}_temp_path {folder}/{place};"
        for name, place in (
            ("client_body", "body"),
            ("proxy", "proxy"),
            ("fastcgi", "fastcgi"),
            ("uwsgi", "uwsgi"),
            ("scgi", "scgi"),
        )
    )
    text = f"""
daemon off; master_process off; error_log {folder}/error.log info; pid {folder}/nginx.pid;
events {{ }}
http {{
    access_log off;
{temporary}
{server.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")}
}}
"""
    config = folder / "nginx.conf"
    config.write_text(text)
    process = subprocess.Popen([program, "-e", folder / "error.log", "-p", folder, "-c", config])
    try:
        wait_until(lambda: process.poll() is not None or listens(port))
        assert process.poll() is None, (folder / "error.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)
