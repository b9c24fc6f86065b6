"""What of heartbeats needs no clock and no model: how often, when not, what counts as silence, what waits. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from openclaw.automation.schedule import MIN_EVERY_MS, zone
from openclaw.base.ids import AgentId
from openclaw.config.schema import ActiveHoursConfig, AgentsConfig, HeartbeatConfig

OK: Final = "HEARTBEAT_OK"
SILENT: Final = "NO_REPLY"
PROMPT: Final = (
    "This is a heartbeat: nobody has written to you. Look at HEARTBEAT.md in your workspace, if it is there, and at "
    "the system events above. Do what they ask for now; leave alone what is already done. If nothing needs doing, "
    f"answer {OK} and nothing else."
)
_UNITS_MS: Final = {"": 60_000, "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_EVERY: Final = re.compile(r"(\d{1,6})(ms|s|m|h|d)?")
_EMPTY_LINE: Final = re.compile(r"\s*(#.*|<!--.*-->|[-*+]\s*(\[[ xX]?\]\s*)?|```.*)?\s*")
_WRAPPING: Final = " \t\r\n*_`~\"'<>/b.!"


class Beat(msgspec.Struct, frozen=True):
    """A heartbeat that is told: what became of one. `ts` is Unix ms."""

    ts: int
    status: Literal["sent", "ok-token", "skipped", "failed"]
    agent_id: str
    reason: str = ""
    preview: str = ""
    duration_ms: int = 0


def every_ms(text: str) -> int:
    """Return an interval in milliseconds, 0 for never. A number alone counts minutes."""
    found = _EVERY.fullmatch(text)
    if found is None:
        return 0
    length = int(found[1]) * _UNITS_MS[found[2] or ""]
    return max(length, MIN_EVERY_MS) if length else 0


def beating(agents: AgentsConfig, default: AgentId) -> dict[AgentId, HeartbeatConfig]:
    """Return the agents that have heartbeats, with their settings.

    When any agent has settings of its own, only such agents have; else the default agent has the defaults'.
    """
    own = {AgentId(agent.id): agent.heartbeat for agent in agents.list if agent.heartbeat is not None}
    found = own or ({default: agents.defaults.heartbeat} if agents.defaults.heartbeat is not None else {})
    return {agent_id: settings for agent_id, settings in found.items() if every_ms(settings.every)}


def is_active(hours: ActiveHoursConfig | None, now_ms: int, default_tz: str) -> bool:
    """Say whether heartbeats may come now. Raises: InvalidRequest for an unknown zone."""
    if hours is None or hours.start == hours.end:
        return True
    now = datetime.fromtimestamp(now_ms / 1000, zone(hours.timezone or default_tz)).strftime("%H:%M")
    if hours.start < hours.end:
        return hours.start <= now < hours.end
    return now >= hours.start or now < hours.end


def asks_for_something(checklist: str) -> bool:
    """Say whether HEARTBEAT.md holds more than headings, comments and empty items."""
    return any(_EMPTY_LINE.fullmatch(line) is None for line in checklist.splitlines())


def is_silence(text: str, ack_max_chars: int) -> bool:
    """Say whether an answer means that there is nothing to tell."""
    bare = text.strip(_WRAPPING)
    if bare in ("", SILENT):
        return True
    for rest in (bare.removeprefix(OK), bare.removesuffix(OK)):
        if rest != bare:
            return len(rest.strip(_WRAPPING)) <= ack_max_chars
    return False


def shown(settings: HeartbeatConfig | None, *, on: bool) -> dict[str, Any]:
    """Return an agent's heartbeat as health tells it; None: it has none."""
    if settings is None or not on:
        return {
            "enabled": False,
            "every": "disabled",
            "everyMs": None,
            "prompt": (settings.prompt if settings else "") or PROMPT,
            "target": settings.target if settings else "none",
            "ackMaxChars": settings.ack_max_chars if settings else HeartbeatConfig().ack_max_chars,
        }
    return {
        "enabled": True,
        "every": settings.every,
        "everyMs": every_ms(settings.every),
        "prompt": settings.prompt or PROMPT,
        "target": settings.target,
        "ackMaxChars": settings.ack_max_chars,
    }
