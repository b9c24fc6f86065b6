"""The console script. `--version` is answered before anything else is imported."""

from __future__ import annotations

import sys
from types import TracebackType


def main() -> None:
    """Run the command line and leave with its exit code: 0 ok, 1 failed, 2 usage, 78 bad configuration."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from openclaw import __version__

        sys.stdout.write(f"openclaw {__version__}\n")
        return
    sys.excepthook = tell_crash
    try:
        from openclaw.cli.app import run

        code = run(arguments)
    except KeyboardInterrupt:  # before there is a command that could be told
        code = 130
    sys.exit(code)


def tell_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what nobody caught, as Python does, without a secret that the process knows."""
    import traceback

    from openclaw.telemetry.redact import REDACTOR

    sys.stderr.write(REDACTOR.clean("".join(traceback.format_exception(kind, error, trace))))
