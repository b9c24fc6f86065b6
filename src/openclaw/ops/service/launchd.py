"""The launchd agent or daemon as a property list."""

from __future__ import annotations

import plistlib
from typing import Any, Final

from openclaw.ops.service.plan import LAUNCHD_LOG, RECORD, Service, record

LABEL: Final = "org.openclaw.gateway"
PLIST_NAME: Final = f"{LABEL}.plist"


def plist_text(service: Service) -> str:
    """Return the property list. launchd reads no variables from a file: the gateway reads `.env` by itself.

    Raises: InvalidRequest for paths that no service file can hold.
    """
    service.check()
    log = str(service.state_dir / "logs" / LAUNCHD_LOG)
    body: dict[str, Any] = {
        "Label": LABEL,
        "ProgramArguments": list(service.argv),
        "WorkingDirectory": str(service.state_dir),
        "EnvironmentVariables": dict(service.environment) | {"OPENCLAW_SUPERVISED": "1"},
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": 45,
        "ProcessType": "Interactive",
        "Umask": 0o077,
        "StandardOutPath": log,
        "StandardErrorPath": log,
        "SoftResourceLimits": {"NumberOfFiles": 65_536},
    }
    if service.scope == "system":
        body["UserName"] = service.user
    head, doctype, rest = plistlib.dumps(body, sort_keys=True).decode().split("\n", 2)
    return "\n".join((head, doctype, f"<!-- {RECORD}{record(service)} -->", rest))
