"""Lanes: one run at a time per session, in order of arrival, within global and per-agent caps.

A place is reserved before the message is durable, so that the order of arrival is the order of running; nothing is
locked while a model or a tool works. A lane exists only while something runs or waits in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from openclaw.agent.lane_modes import Decision, DropPolicy, decide
from openclaw.agent.live import LiveRun
from openclaw.base.errors import LaneBusy, Unavailable
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.run import LaneMode

MAX_ALIVE = 20_000
"""Runs alive over all sessions: beyond it new messages are refused rather than memory exhausted."""


class Lane:
    """One session's queue. `running` is None only while its next run waits for a free slot."""

    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.running: LiveRun | None = None
        self.waiting: deque[LiveRun] = deque()


class Lanes:
    """All lanes. `start` is called once for each run when its turn has come."""

    def __init__(self, start: Callable[[LiveRun], None], cap_of: Callable[[AgentId], int], total_cap: int) -> None:
        self._start = start
        self._cap_of = cap_of
        self.total_cap = total_cap
        self._lanes: dict[SessionKey, Lane] = {}
        self._ready: deque[LiveRun] = deque()
        """Heads of their lanes that wait for a free slot."""
        self._going: dict[AgentId, int] = {}
        self.running_count = 0
        self.alive_count = 0

    def lane(self, key: SessionKey) -> Lane | None:
        """Return the lane, or None when the session is idle."""
        return self._lanes.get(key)

    def find(self, key: SessionKey, run_id: RunId) -> LiveRun | None:
        """Return a run of that session that runs or waits."""
        return next((run for run in self.members(key) if run.id == run_id), None)

    def members(self, key: SessionKey) -> list[LiveRun]:
        """Return the session's runs, the running one first; those that joined it end with it and are not listed."""
        lane = self._lanes.get(key)
        if lane is None:
            return []
        head = [lane.running, *lane.running.steering] if lane.running else []
        return [*head, *lane.waiting]

    def admit(self, run: LiveRun, mode: LaneMode, cap: int, drop: DropPolicy) -> tuple[Decision, LiveRun | None]:
        """Reserve a place. Return the decision and the run dropped to make room, if any.

        Raises: LaneBusy under `reject` or a full queue, Unavailable when the house is full.
        """
        if self.alive_count >= MAX_ALIVE:
            raise Unavailable("too many messages are waiting", retry_after_s=5)
        key = run.inbound.session_key
        lane = self._lanes.get(key)
        busy, waiting = (False, 0) if lane is None else (lane.running is not None, len(lane.waiting))
        decision = decide(busy=busy, waiting=waiting, mode=mode, cap=cap, drop=drop)
        if decision.action == "reject":
            raise LaneBusy(f"session {key} is busy and its queue of {cap} is full or closed", retry_after_s=5)
        if lane is None:
            lane = self._lanes[key] = Lane()
        victim = lane.waiting.popleft() if decision.drop_oldest and lane.waiting else None
        if victim is not None:
            self.alive_count -= 1
        self.alive_count += 1
        if decision.action == "start":
            lane.running = run
        elif decision.action == "steer":
            assert lane.running is not None
            lane.running.steering.append(run)
        else:
            lane.waiting.append(run)
        return decision, victim

    def may_start(self, run: LiveRun) -> bool:
        """Say whether a slot is free for this run; one that another run waits for needs none, or both would wait."""
        if run.inbound.depth:
            return True
        agent_id = run.inbound.agent_id
        cap = self._cap_of(agent_id)
        return self.running_count < self.total_cap and (cap == 0 or self._going.get(agent_id, 0) < cap)

    def begin(self, run: LiveRun) -> None:
        """Give the lane's reserved head a slot and start it, or queue it for one."""
        agent_id = run.inbound.agent_id
        if not self.may_start(run):
            self._ready.append(run)
            return
        self.running_count += 1
        self._going[agent_id] = self._going.get(agent_id, 0) + 1
        self._start(run)

    def leave(self, run: LiveRun, *, had_slot: bool) -> None:
        """Take a run out, wherever it stands, and start whatever may go now."""
        key = run.inbound.session_key
        if had_slot:
            self.running_count -= 1
            left = self._going.get(run.inbound.agent_id, 1) - 1
            if left:
                self._going[run.inbound.agent_id] = left
            else:
                self._going.pop(run.inbound.agent_id, None)
        self.alive_count -= 1
        lane = self._lanes.get(key)
        if lane is not None:
            self._unlink(lane, run)
            if lane.running is None:
                self._next(key, lane)
        if self._ready:
            self._pump()

    def take_waiting(self, key: SessionKey) -> list[LiveRun]:
        """Take every durable run that waits behind the running one, so that it can join it."""
        lane = self._lanes.get(key)
        taken: list[LiveRun] = []
        while lane is not None and lane.waiting and lane.waiting[0].durable:
            taken.append(lane.waiting.popleft())
        return taken

    def _unlink(self, lane: Lane, run: LiveRun) -> None:
        if lane.running is run:
            lane.running = None
            lane.waiting.extendleft(reversed(run.steering))  # nobody took them in: they go next, on their own
            run.steering.clear()
        elif run in lane.waiting:
            lane.waiting.remove(run)
        elif lane.running is not None and run in lane.running.steering:
            lane.running.steering.remove(run)
        if run in self._ready:
            self._ready.remove(run)

    def _next(self, key: SessionKey, lane: Lane) -> None:
        if not lane.waiting:
            del self._lanes[key]
            return
        lane.running = lane.waiting.popleft()
        if lane.running.durable:  # else the intake begins it as soon as it is
            self.begin(lane.running)

    def _pump(self) -> None:
        for _ in range(len(self._ready)):
            run = self._ready.popleft()
            if self.may_start(run):
                self.begin(run)
            else:
                self._ready.append(run)
