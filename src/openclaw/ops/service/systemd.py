"""The systemd unit as text.

1. Words in lists are quoted; `"` and `\\` in them get a backslash. Paths that stand alone (WorkingDirectory,
   EnvironmentFile) are never quoted: systemd takes the rest of the line as it is.
2. `%` begins a specifier everywhere and is doubled. `$` is left alone: the `:` before the program turns it off.
3. EnvironmentFile is a pattern: what matches more than itself gets a backslash.
4. No secret is in the unit: anybody may read it. Secrets come from files that only the gateway's user reads.
5. The gateway may make no namespaces, of which the walls around commands consist. A socket beside it has a service
   of its own started for each command, which may make them and reaches no network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from openclaw.ops.service.plan import BAD_CONFIG_CODE, RECORD, RESTART_CODE, WATCHDOG_S, Service, record
from openclaw.processes.sandbox.bubblewrap import ENTRANCE as ENTRANCE_SCRIPT
from openclaw.processes.sandbox.bubblewrap import ENTRANCE_VARIABLE

UNIT_NAME: Final = "openclaw-gateway.service"
SOCKET_NAME: Final = "openclaw-commands.socket"
COMMANDS_NAME: Final = "openclaw-commands@.service"
ENTRANCE: Final = "%t/openclaw-commands.sock"
"""`%t` is /run, or what the user's session has for it."""
MAX_COMMANDS: Final = 128
"""Commands at once; the gateway itself starts half of that."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_PATTERN: Final = re.compile(r"([\\*?\[\]])")

# What may be said without namespaces, by any manager.
_BOTH: Final = (
    "NoNewPrivileges=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "UMask=0077",
)
_GATEWAY: Final = (
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources @obsolete",
    "RestrictNamespaces=yes",
)
# What bubblewrap needs beyond the gateway: it has no capability outside of the namespaces that it makes.
_COMMANDS: Final = (
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources @obsolete",
    "SystemCallFilter=mount umount2 pivot_root capset sethostname",
    "RestrictNamespaces=cgroup ipc mnt net pid user uts",
)
_FILES: Final = (
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "PrivateMounts=yes",
    "PrivateUsers=yes",
)
_FULL: Final = (
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "ProtectProc=invisible",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "DevicePolicy=closed",
    "RemoveIPC=yes",
)
# The kernel lets nobody mount a /proc of his own who sees only a part of the machine's: not for commands.
_FULL_GATEWAY: Final = (
    "ProtectHostname=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelLogs=yes",
)
_FULL_COMMANDS: Final = (
    "PrivateNetwork=yes",
    "IPAddressDeny=any",
    # A command's own loopback: its servers, and the end of its way out.
    "IPAddressAllow=localhost",
)


def unit_text(service: Service) -> str:
    """Return the unit. Raises: InvalidRequest for paths that no unit can hold."""
    service.check()
    return _joined(
        [*_head(service, UNIT_NAME), f"# {RECORD}{record(service)}"],
        _unit(service),
        _service(service),
        ["[Install]", f"WantedBy={'default.target' if service.scope == 'user' else 'multi-user.target'}"],
    )


def companion_texts(service: Service) -> dict[str, str]:
    """Return the units beside the gateway's by their names: the socket, and the service of one command."""
    service.check()
    own = [f"User={service.user}"] if service.scope == "system" else []
    owner = [f"SocketUser={service.user}"] if service.scope == "system" else []
    socket = [
        *("[Socket]", f"ListenStream={ENTRANCE}", "Accept=yes", "SocketMode=0600", *owner),
        # An agent that starts many commands must not have the door shut for good.
        *(f"MaxConnections={MAX_COMMANDS}", "TriggerLimitIntervalSec=0", "RemoveOnStop=yes"),
    ]
    command = [
        *("[Service]", "Type=exec", f"ExecStart=:{quoted((service.argv[0], '-I', '-S', str(ENTRANCE_SCRIPT)))}", *own),
        *("WorkingDirectory=/", "StandardInput=socket", "StandardOutput=null", "StandardError=journal"),
        *("KillMode=control-group", "TimeoutStopSec=5", "OOMPolicy=kill", "OOMScoreAdjust=500"),
        *(f"MemoryMax={service.memory_max}", "TasksMax=1024", "CPUWeight=50", "LimitCORE=0", ""),
        *(*_BOTH, *_COMMANDS, *_sandbox(service, (*_FULL, *_FULL_COMMANDS), homes=service.in_homes())),
    ]
    return {
        SOCKET_NAME: _joined(
            _head(service, SOCKET_NAME),
            ["[Unit]", "Description=openclaw: commands of agents", f"PartOf={UNIT_NAME}"],
            socket,
        ),
        COMMANDS_NAME: _joined(
            _head(service, COMMANDS_NAME),
            [
                *("[Unit]", "Description=openclaw: a command of an agent", "CollectMode=inactive-or-failed"),
                # The way out of a command lies in the gateway's own /tmp.
                *(f"PartOf={UNIT_NAME}", f"JoinsNamespaceOf={UNIT_NAME}"),
            ],
            command,
        ),
    }


def _joined(*blocks: list[str]) -> str:
    return "\n\n".join("\n".join(lines) for lines in blocks) + "\n"


def _head(service: Service, name: str) -> list[str]:
    return [
        "# Written by `openclaw gateway install`; `openclaw gateway status` says when it was changed since.",
        f"# To change it: systemctl {'--user ' if service.scope == 'user' else ''}edit {name}",
    ]


def _unit(service: Service) -> list[str]:
    lines = ["[Unit]", "Description=openclaw gateway", "StartLimitIntervalSec=300", "StartLimitBurst=10"]
    lines += [f"Wants={SOCKET_NAME}", f"After={SOCKET_NAME}"]
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
        f"Environment={ENTRANCE_VARIABLE}={ENTRANCE}",
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
        # What a command that has no walls uses too much of is no reason to end the gateway.
        "OOMPolicy=continue",
        "",
        *_BOTH,
        *_GATEWAY,
    ]
    return [*lines, *sandbox_lines(service)]


def sandbox_lines(service: Service) -> list[str]:
    """Return the settings that need namespaces, which not every machine gives to every service."""
    # The socket of a user's session lies where homes are hidden.
    return _sandbox(service, (*_FULL, *_FULL_GATEWAY), homes=service.scope == "user" or service.in_homes())


def _sandbox(service: Service, full: tuple[str, ...], *, homes: bool) -> list[str]:
    if service.sandbox == "none":
        return []
    return [
        *_FILES,
        f"ProtectHome={'read-only' if homes else 'yes'}",
        # The dash: a folder that is not there yet is no reason not to start.
        f"ReadWritePaths={quoted(f'-{path}' for path in service.writable)}",
        *(full if service.sandbox == "full" else ()),
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
