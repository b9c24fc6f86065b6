"""The console script. `--version` is answered before anything else is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code: 0 ok, 1 failed, 2 usage, 78 bad configuration."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from openclaw import __version__

        sys.stdout.write(f"openclaw {__version__}\n")
        return
    try:
        from openclaw.cli.app import run

        code = run(arguments)
    except KeyboardInterrupt:  # before there is a command that could be told
        code = 130
    sys.exit(code)
