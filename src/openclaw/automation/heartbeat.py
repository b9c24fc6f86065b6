"""Heartbeats: turns that an agent takes on its own. Off unless configured, and never without something to look at.

Rules
1. Without `heartbeat.every` there is no timer and no call. A `wake` with mode `now` makes one turn all the same, for
   somebody asked for it; `set-heartbeats {enabled: false}` stops even that until the next start.
2. A turn on the timer needs something that waits: a line in HEARTBEAT.md or a system event. It is skipped outside the
   active hours and while its session is busy. Whatever is skipped calls no model.
3. A turn somebody asked for waits in the session's lane behind what is going. Asking again meanwhile makes one more
   turn after it, however often, and only if something waits then.
4. Its calls have the purpose `heartbeat` (models.tiers.heartbeat) and count in the budget channel of that name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from openclaw.agent.api import AgentService
from openclaw.automation.alarm import Alarm
from openclaw.automation.job import RUN_SCOPES
from openclaw.automation.pulse import (
    PROMPT,
    Beat,
    asks_for_something,
    beating,
    every_ms,
    is_active,
    is_silence,
    shown,
)
from openclaw.automation.system_event import SystemEvents
from openclaw.base import own_names
from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest, LaneBusy, OpenClawError
from openclaw.base.ids import DEFAULT_TENANT, AgentId, SessionKey, new_run_id
from openclaw.base.message import user
from openclaw.base.principal import LOCAL_OPERATOR, Principal
from openclaw.base.run import Inbound, Reply
from openclaw.base.tasks import TaskSet, supervise
from openclaw.config.schema import Config, HeartbeatConfig
from openclaw.telemetry.metrics import METRICS

_log = logging.getLogger("openclaw.heartbeat")
_beats = METRICS.counter("openclaw_heartbeats", "Heartbeats by what became of them.", ("status",))

CHECKLIST: Final = "HEARTBEAT.md"
MAX_CHECKLIST_BYTES: Final = 64_000
PREVIEW_CHARS: Final = 200


class Heartbeats:
    """The agents' own turns. `start` once the study runs, `pause` before it drains, `close` at the end."""

    def __init__(
        self,
        events: SystemEvents,
        agent: AgentService,
        clock: Clock,
        config: Callable[[], Config],
        tell: Callable[[Beat], None],
    ) -> None:
        self._events = events
        self._agent = agent
        self._clock = clock
        self._config = config
        self._tell = tell
        self._tasks = TaskSet("heartbeat")
        self._alarm = Alarm(clock, self._tasks)
        self._due_ms: dict[AgentId, int] = {}
        self._settings: dict[AgentId, HeartbeatConfig] = {}
        self._beating: set[SessionKey] = set()
        """Sessions in which one is under way: at most one each."""
        self._again: set[SessionKey] = set()
        """Those in which somebody has asked meanwhile."""
        self._paused = True
        self.enabled = True
        self.last: Beat | None = None

    async def start(self) -> None:
        """Begin to keep time, where there is anything to keep."""
        self._paused = False
        self.reloaded()
        self._tasks.spawn(supervise("heartbeat", self._keep_time, self._clock.sleep), "timer")

    def pause(self) -> None:
        """Begin nothing more."""
        self._paused = True
        self._alarm.set(None)

    async def close(self) -> None:
        """Let go of everything."""
        self._paused = True
        await self._tasks.close()

    def reloaded(self) -> None:
        """Look again: the configuration has changed. An interval that stayed goes on as it was."""
        wanted = beating(self._config().agents, self._agent.default_agent())
        now_ms = self._clock.now_ms()
        for agent_id, settings in wanted.items():
            old = self._settings.get(agent_id)
            if old is None or old.every != settings.every:
                self._due_ms[agent_id] = now_ms + every_ms(settings.every)
        self._due_ms = {agent_id: due for agent_id, due in self._due_ms.items() if agent_id in wanted}
        self._settings = wanted
        self._alarm.ring()

    def set_enabled(self, enabled: bool) -> None:
        """Turn all heartbeats off, or back to what the configuration says."""
        if enabled and not self.enabled:  # what was left out meanwhile is not made up for
            now_ms = self._clock.now_ms()
            self._due_ms = {agent_id: now_ms + every_ms(each.every) for agent_id, each in self._settings.items()}
        self.enabled = enabled
        self._alarm.ring()

    def wake(self, agent_id: AgentId, key: SessionKey) -> None:
        """Take a turn as soon as the session is free."""
        if key in self._beating:
            self._again.add(key)
        elif not self._paused:
            self._begin(agent_id, key, asked=True)

    def shown(self, agent_id: AgentId) -> dict[str, Any]:
        """Return an agent's heartbeat as health tells it."""
        return shown(self._settings.get(agent_id), on=self.enabled)

    def period_s(self) -> int:
        """Return the shortest interval of all agents in seconds, 0 when there is none."""
        lengths = [every_ms(settings.every) for settings in self._settings.values()] if self.enabled else []
        return min(lengths, default=0) // 1000

    def is_silence(self, agent_id: AgentId, text: str) -> bool:
        """Say whether an agent's answer to a heartbeat means that there is nothing to tell."""
        return is_silence(text, self._of(agent_id).ack_max_chars)

    def _of(self, agent_id: AgentId) -> HeartbeatConfig:
        return self._settings.get(agent_id) or self._config().agents.defaults.heartbeat or HeartbeatConfig()

    async def _keep_time(self) -> None:
        while True:
            now_ms = self._clock.now_ms()
            for agent_id, settings in self._settings.items():
                if self.enabled and not self._paused and self._due_ms[agent_id] <= now_ms:
                    self._due_ms[agent_id] = now_ms + every_ms(settings.every)
                    self._on_time(agent_id, settings)
            due_ms = min(self._due_ms.values(), default=None) if self.enabled and not self._paused else None
            self._alarm.set(due_ms)
            await self._alarm.wait()

    def _on_time(self, agent_id: AgentId, settings: HeartbeatConfig) -> None:
        try:
            key = self._agent.resolve_key(LOCAL_OPERATOR, settings.session or "main", agent_id)
        except InvalidRequest as error:
            self._ended(Beat(self._clock.now_ms(), "failed", agent_id, f"heartbeat.session: {error.message}"))
            return
        if not key.startswith(f"agent:{agent_id}:"):
            self._ended(Beat(self._clock.now_ms(), "failed", agent_id, "heartbeat.session is another agent's"))
        elif key not in self._beating:
            self._begin(agent_id, key, asked=False)

    def _begin(self, agent_id: AgentId, key: SessionKey, *, asked: bool) -> None:
        self._beating.add(key)
        self._tasks.spawn(self._beat(agent_id, key, asked=asked), f"beat {agent_id}")

    async def _beat(self, agent_id: AgentId, key: SessionKey, *, asked: bool) -> None:
        started_ms = self._clock.now_ms()
        try:
            why = self._why_not(agent_id, key, asked=asked)
            if why:
                self._ended(Beat(started_ms, "skipped", agent_id, why))
                return
            run = await self._agent.submit(await self._inbound(agent_id, key, asked=asked))
            self._ended(self._outcome(agent_id, await run.result(), started_ms))
        except LaneBusy:
            self._ended(Beat(started_ms, "skipped", agent_id, "requests-in-flight"))
        except OpenClawError as error:
            self._ended(Beat(started_ms, "failed", agent_id, error.message))
        finally:
            self._beating.discard(key)
            asked_again = key in self._again
            self._again.discard(key)
            if asked_again and not self._paused and self._events.waiting(key):
                self._begin(agent_id, key, asked=True)

    def _why_not(self, agent_id: AgentId, key: SessionKey, *, asked: bool) -> str:
        """Return why there is nothing to do now, or an empty text. Raises: InvalidRequest for an unknown zone."""
        if not self.enabled:
            return "disabled"
        settings, zone = self._of(agent_id), self._config().agents.defaults.user_timezone
        if not asked and not is_active(settings.active_hours, self._clock.now_ms(), zone):
            return "quiet-hours"
        if self._events.waiting(key) or asks_for_something(self._checklist(agent_id)):
            return ""
        return "empty-heartbeat-file"

    def _checklist(self, agent_id: AgentId) -> str:
        workspace = next((agent.workspace for agent in self._agent.agents() if agent.id == agent_id), "")
        try:
            with (Path(workspace) / CHECKLIST).open("rb") as file:
                return file.read(MAX_CHECKLIST_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    async def _inbound(self, agent_id: AgentId, key: SessionKey, *, asked: bool) -> Inbound:
        session = await self._agent.session(key, LOCAL_OPERATOR)
        settings = self._of(agent_id)
        return Inbound(
            run_id=new_run_id(),
            session_key=key,
            agent_id=agent_id,
            message=user(settings.prompt or PROMPT),
            principal=Principal(
                owner=session.owner if session else own_names.owner_of(key),
                tenant=session.tenant if session else DEFAULT_TENANT,
                method="none",
                scopes=RUN_SCOPES,
            ),
            source="heartbeat",
            lane_mode="followup" if asked else "reject",
            model=settings.model or None,
            timeout_s=settings.timeout_seconds or None,
        )

    def _outcome(self, agent_id: AgentId, reply: Reply, started_ms: int) -> Beat:
        took_ms = max(0, self._clock.now_ms() - started_ms)
        if reply.state != "ok":
            reason = str((reply.error or {}).get("message") or reply.state)
            return Beat(started_ms, "failed", agent_id, reason, duration_ms=took_ms)
        silent = self.is_silence(agent_id, reply.text)
        return Beat(
            started_ms,
            "ok-token" if silent else "sent",
            agent_id,
            preview="" if silent else reply.text[:PREVIEW_CHARS],
            duration_ms=took_ms,
        )

    def _ended(self, beat: Beat) -> None:
        self.last = beat
        _beats.inc(beat.status)
        fields = {"agent": beat.agent_id, "status": beat.status, "reason": beat.reason}
        _log.log(logging.WARNING if beat.status == "failed" else logging.INFO, "heartbeat", extra={"fields": fields})
        self._tell(beat)
