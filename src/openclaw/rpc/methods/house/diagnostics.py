"""diagnostics.*, doctor.memory.status, system.info, gateway.suspend.*: machine and process, for status pages."""

from __future__ import annotations

import os
import platform
import shutil
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NoReturn

from msgspec import Meta

from openclaw.base.errors import NotSupported
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

READS: Final = Rate(60, 5)
NotEmpty = Annotated[str, Meta(min_length=1, max_length=128)]


class StabilityParams(Params, frozen=True):
    """Filters of an empty list."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 50
    type: NotEmpty = ""
    since_seq: Annotated[int, Meta(ge=0)] = 0


class MemoryStatusParams(Params, frozen=True):
    """Whose memory; `probe` and `deep` would ask a provider of embeddings."""

    agent_id: NotEmpty = ""
    probe: bool = False
    deep: bool = False


class SuspendPrepareParams(Params, frozen=True):
    """Names the request to suspend."""

    request_id: NotEmpty
    terminal_policy: str = ""
    drain: bool = False


class SuspendParams(Params, frozen=True):
    """Names a suspension."""

    suspension_id: NotEmpty


def stability(room: Room, peer: Peer, params: StabilityParams) -> dict[str, Any]:
    """Return an empty record: the log and the metrics tell of the gateway's life instead."""
    now = datetime.fromtimestamp(room.deps.clock.now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
    return {
        "generatedAt": now.replace("+00:00", "Z"),
        "capacity": 0,
        "count": 0,
        "dropped": 0,
        "firstSeq": 0,
        "lastSeq": 0,
        "events": [],
        "summary": {"byType": {}},
    }


def lanes(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return how many runs go and how many messages wait, over all lanes; to a user, of their own."""
    active, queued = room.deps.agent.load(peer.principal)
    return {
        "ts": room.deps.clock.now_ms(),
        "lanes": [{"lane": "main", "active": active, "queued": queued}] if active or queued else [],
        "totals": {"active": active, "queued": queued},
    }


def memory_status(room: Room, peer: Peer, params: MemoryStatusParams) -> dict[str, Any]:
    """Return that memory asks no provider, and that nothing dreams."""
    phase = {"enabled": False, "cron": "", "lookbackDays": 0, "limit": 0, "managedCronPresent": False}
    return {
        "agentId": room.agent(peer.principal, params.agent_id),
        "provider": "none",
        "embedding": {"ok": False, "checked": False, "error": "memory asks no embedding provider"},
        "dreaming": {
            "enabled": False,
            "verboseLogging": False,
            "storageMode": "separate",
            "separateReports": False,
            "shortTermEntries": [],
            "signalEntries": [],
            "promotedEntries": [],
            "phases": {"light": phase, "deep": phase, "rem": phase},
        },
    }


def system_info(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return what the system says of itself; nothing is run for it."""
    host = platform.node()
    system = platform.system().lower()
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    answer: dict[str, Any] = {
        "machineName": host,
        "hostname": host,
        "platform": system,
        "release": platform.release(),
        "arch": platform.machine(),
        "osLabel": f"{platform.system()} {platform.release()}",
        "port": room.deps.config().config.gateway.port,
        "nodeVersion": f"python {platform.python_version()}",
        "pid": os.getpid(),
        "uptimeMs": room.deps.health.uptime_ms(),
        "cpuCount": os.cpu_count() or 1,
        "loadAverage": os.getloadavg(),
        "memoryTotalBytes": pages * size,
        "memoryFreeBytes": _free_pages() * size,
    }
    folder = room.deps.state_dir
    if folder is not None and folder.is_dir():
        disk = shutil.disk_usage(folder)
        answer |= {"diskTotalBytes": disk.total, "diskAvailableBytes": disk.free, "diskPath": str(folder)}
    return answer


def _free_pages() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError):  # macOS does not tell
        return 0


def suspend(room: Room, peer: Peer, params: Params) -> NoReturn:
    """Refuse."""
    raise NotSupported(
        "this gateway is not suspended by its clients",
        hint="Stop it with SIGTERM: runs end or are resumed at the next start.",
    )


def suspend_status(room: Room, peer: Peer, params: SuspendParams) -> dict[str, Any]:
    """Return that the gateway runs."""
    return {"status": "running"}


METHODS = (
    MethodSpec(
        "diagnostics.stability",
        StabilityParams,
        "operator.read",
        stability,
        "Returns a record of recent events of the process: none is kept, see the log and the metrics.",
        "`{generatedAt, capacity: 0, count: 0, dropped, firstSeq, lastSeq, events: [], summary{byType{}}}`",
        rate=READS,
        since=4,
    ),
    MethodSpec(
        "diagnostics.lanes",
        NoParams,
        "operator.read",
        lanes,
        "Says how many runs go and how many messages wait.",
        "`{ts, lanes: [{lane, active, queued}], totals{active, queued}}`",
        rate=READS,
        since=4,
    ),
    MethodSpec(
        "doctor.memory.status",
        MemoryStatusParams,
        "operator.read",
        memory_status,
        "Says how an agent's memory stands: it needs no provider.",
        "`{agentId, provider, embedding{ok, checked, error}, dreaming{enabled: false, …}}`",
        rate=READS,
        since=4,
    ),
    MethodSpec(
        "system.info",
        NoParams,
        "operator.read",
        system_info,
        "Describes the machine that the gateway runs on.",
        "`{machineName, hostname, platform, release, arch, osLabel, port, nodeVersion, pid, uptimeMs, cpuCount, "
        "loadAverage[], memoryTotalBytes, memoryFreeBytes, diskTotalBytes?, diskAvailableBytes?, diskPath?}`",
        rate=READS,
        since=4,
    ),
    MethodSpec(
        "gateway.suspend.prepare",
        SuspendPrepareParams,
        "operator.admin",
        suspend,
        "Suspends the gateway. Refused: it is stopped by its system.",
        "An error with code NOT_SUPPORTED.",
        since=4,
    ),
    MethodSpec(
        "gateway.suspend.status",
        SuspendParams,
        "operator.read",
        suspend_status,
        "Says whether the gateway is suspended: never.",
        '`{status: "running"}`',
        since=4,
    ),
    MethodSpec(
        "gateway.suspend.resume",
        SuspendParams,
        "operator.admin",
        suspend,
        "Ends a suspension. Refused, as there are none.",
        "An error with code NOT_SUPPORTED.",
        since=4,
    ),
)
