"""The systemd unit as text.

1. Words in lists are quoted; `"` and `\\` in them get a backslash. Paths that stand alone (WorkingDirectory,
   EnvironmentFile) are never quoted: systemd takes the rest of the line as it is.
2. `%` begins a specifier everywhere and is doubled. `$` is left alone: the `:` before the program turns it off.
3. EnvironmentFile is a pattern: what matches more than itself gets a backslash.
4. No secret is in the unit: anybody may read it. Secrets come from files that only the gateway's user reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from openclaw.ops.service.plan import BAD_CONFIG_CODE, RECORD, RESTART_CODE, WATCHDOG_S, Service, record

UNIT_NAME: Final = "openclaw-gateway.service"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_PATTERN: Final = re.compile(r"([\\*?\[\]])")

# What may be said without namespaces, by any manager.
_ALWAYS: Final = (
    "NoNewPrivileges=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources @obsolete",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "UMask=0077",
)
_FILES: Final = (
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "PrivateMounts=yes",
    "PrivateUsers=yes",
)
_FULL: Final = (
    "PrivateDevices=yes",
    "ProtectHostname=yes",
    "ProtectClock=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectProc=invisible",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "DevicePolicy=closed",
    "RemoveIPC=yes",
)


def unit_text(service: Service) -> str:
    """Return the unit. Raises: InvalidRequest for paths that no unit can hold."""
    service.check()
    blocks = [
        [
            "# Written by `openclaw gateway install`; `openclaw gateway status` says when it was changed since.",
            f"# To change it: systemctl {'--user ' if service.scope == 'user' else ''}edit {UNIT_NAME}",
            f"# {RECORD}{record(service)}",
        ],
        _unit(service),
        _service(service),
        ["[Install]", f"WantedBy={'default.target' if service.scope == 'user' else 'multi-user.target'}"],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks) + "\n"


def _unit(service: Service) -> list[str]:
    lines = ["[Unit]", "Description=openclaw gateway", "StartLimitIntervalSec=300", "StartLimitBurst=10"]
    if service.scope == "system":  # the user's manager knows no such targets
        lines += ["Wants=network-online.target", "After=network-online.target"]
    return lines


def _service(service: Service) -> list[str]:
    lines = [
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart=:{quoted(service.argv)}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        f"WorkingDirectory={specifiers(str(service.state_dir))}",
        *(f"Environment={quoted([f'{name}={value}'])}" for name, value in service.environment),
        f"EnvironmentFile=-{alone(service.env_file)}",
        *([f"User={service.user}"] if service.scope == "system" else []),
        "Restart=on-failure",
        "RestartSec=2",
        f"RestartForceExitStatus={RESTART_CODE}",
        f"RestartPreventExitStatus={BAD_CONFIG_CODE}",
        "KillMode=mixed",
        "TimeoutStartSec=180",
        "TimeoutStopSec=45",
        f"WatchdogSec={WATCHDOG_S}",
        f"MemoryMax={service.memory_max}",
        "TasksMax=512",
        "LimitNOFILE=65536",
        "OOMPolicy=stop",
        "",
        *_ALWAYS,
    ]
    return [*lines, *sandbox_lines(service)]


def sandbox_lines(service: Service) -> list[str]:
    """Return the settings that need namespaces, which not every machine gives to every service."""
    if service.sandbox == "none":
        return []
    return [
        *_FILES,
        f"ProtectHome={'read-only' if service.in_homes() else 'yes'}",
        # The dash: a folder that is not there yet is no reason not to start.
        f"ReadWritePaths={quoted(f'-{path}' for path in service.writable)}",
        *(_FULL if service.sandbox == "full" else ()),
    ]


def quoted(words: Iterable[str]) -> str:
    """Return words for a list in a unit."""
    return " ".join(word if _PLAIN.fullmatch(word) else _quote(word) for word in words)


def _quote(word: str) -> str:
    return '"' + specifiers(word.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def specifiers(text: str) -> str:
    """Return a text in which no `%` begins a specifier."""
    return text.replace("%", "%%")


def alone(path: Path) -> str:
    """Return a path for EnvironmentFile, which takes a pattern."""
    return specifiers(_PATTERN.sub(r"\\\1", str(path)))
