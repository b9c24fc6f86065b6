"""sessions.usage and its parts: what each conversation used and cost, over time and message by message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from openclaw.base.model import ModelInfo
from openclaw.base.money import USD_MICROS
from openclaw.models.spend.pricing import cost_usd_micros
from openclaw.protocol.validate import Params
from openclaw.rpc.counting import COUNTED, DEFAULT_DAYS, MAX_DAYS, add, counted_total, day_range, shown, totals_of
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.rows import message_rows, session_row, split_ref
from openclaw.store.api import SessionRow, StepRow

MAX_SESSIONS: Final = 1000
MAX_STEPS: Final = 1000
MAX_TEXT_CHARS: Final = 2000
READS: Final = Rate(30, 5)
RANGES: Final = {"": DEFAULT_DAYS, "7d": 7, "30d": 30, "90d": 90, "1y": 365, "all": MAX_DAYS}

NotEmpty = Annotated[str, Meta(min_length=1, max_length=512)]
IsoDate = Annotated[str, Meta(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]
Counts = dict[str, int]


class SessionsUsageParams(Params, frozen=True):
    """Which sessions, and from when to when; days are UTC's, whatever `mode`, `utcOffset` and `timeZone` say."""

    key: NotEmpty = ""
    agent_id: NotEmpty = ""
    agent_scope: Literal["", "all"] = ""
    start_date: IsoDate = ""
    end_date: IsoDate = ""
    mode: Literal["", "utc", "gateway", "specific"] = ""
    range: Literal["", "7d", "30d", "90d", "1y", "all"] = ""
    group_by: Literal["instance", "family"] = "instance"
    include_historical: bool = False
    utc_offset: str = ""
    time_zone: str = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_SESSIONS)] = 50
    include_context_weight: bool = False


class SessionTimesParams(Params, frozen=True):
    """Names a session."""

    key: NotEmpty
    agent_id: NotEmpty = ""


class SessionLogsParams(Params, frozen=True):
    """The last `limit` messages of a session."""

    key: NotEmpty
    agent_id: NotEmpty = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200


class _Used:
    """What calls of one group used, by day and by model too."""

    __slots__ = ("by_day", "by_model", "calls", "counts", "failed")

    def __init__(self) -> None:
        self.calls = 0
        self.failed = 0
        self.counts: Counts = dict.fromkeys(COUNTED, 0)
        self.by_day: dict[str, Counts] = defaultdict(lambda: dict.fromkeys((*COUNTED, "calls", "failed"), 0))
        self.by_model: dict[str, Counts] = defaultdict(lambda: dict.fromkeys((*COUNTED, "calls"), 0))

    def add(self, day: str, ref: str, counts: Mapping[str, int], calls: int, failed: int) -> None:
        """Add the calls of one day to one model."""
        self.calls += calls
        self.failed += failed
        add(self.counts, counts)
        add(self.by_day[day], {**counts, "calls": calls, "failed": failed})
        add(self.by_model[ref], {**counts, "calls": calls})


async def sessions_usage(room: Room, peer: Peer, params: SessionsUsageParams) -> dict[str, Any]:
    """Return the sessions used last, each with what it used, and the sums over them."""
    days = RANGES[params.range]
    first, last = day_range(room, "sessions.usage", params.start_date, params.end_date, days)
    prices = {model.ref: model for model in room.deps.models.models()}
    used: dict[str, _Used] = defaultdict(_Used)
    for total in await totals_of(room, peer, ("session", "day", "model"), first, last):
        key, day, ref = total.key
        used[key].add(day, ref, counted_total(total, prices.get(ref)), total.calls, total.failed)
    found = await _sessions(room, peer, params)
    model, context = room.default_model()
    rows = []
    whole, by_agent = _Used(), defaultdict[str, _Used](_Used)
    for row in found:
        mine = used.get(row.key)
        listed = session_row(row, model, context)
        names = ("key", "label", "sessionId", "updatedAt", "agentId", "chatType", "modelProvider", "model")
        shown_row = {name: listed[name] for name in names if name in listed}
        usage = None if mine is None else {"sessionId": row.id, **_usage(mine)}
        rows.append({**shown_row, "scope": "instance", "usage": usage, "hasContextWeight": False})
        if mine is not None:
            _merge(whole, mine)
            _merge(by_agent[row.agent_id], mine)
    return {
        "updatedAt": room.deps.clock.now_ms(),
        "startDate": first.isoformat(),
        "endDate": last.isoformat(),
        "sessions": rows,
        "totals": shown(whole.counts),
        "aggregates": _aggregates(whole, by_agent),
    }


async def _sessions(room: Room, peer: Peer, params: SessionsUsageParams) -> list[SessionRow]:
    if params.key:
        row = await room.deps.agent.session(
            room.session_key(peer.principal, params.key, params.agent_id), peer.principal
        )
        return [] if row is None else [row]
    agent_id = room.deps.agent.resolve_agent(params.agent_id) if params.agent_id else None
    rows, _ = await room.deps.agent.sessions(peer.principal, agent_id=agent_id, limit=params.limit)
    return rows


def _merge(into: _Used, more: _Used) -> None:
    into.calls += more.calls
    into.failed += more.failed
    add(into.counts, more.counts)
    for day, counts in more.by_day.items():
        add(into.by_day[day], counts)
    for ref, counts in more.by_model.items():
        add(into.by_model[ref], counts)


def _usage(used: _Used) -> dict[str, Any]:
    days = sorted(used.by_day)
    return {
        **shown(used.counts),
        "activityDates": days,
        "dailyBreakdown": [
            {"date": day, "tokens": counts["totalTokens"], "cost": counts["totalCost"] / USD_MICROS}
            for day, counts in sorted(used.by_day.items())
        ],
        "messageCounts": _messages(used),
        "modelUsage": _by_model(used),
    }


def _messages(used: _Used) -> Counts:
    """Return messages as the ledger of model calls knows them: each call is an answer."""
    answers = used.calls - used.failed
    return {
        "total": answers,
        "user": 0,
        "assistant": answers,
        "toolCalls": 0,
        "toolResults": 0,
        "errors": used.failed,
    }


def _by_model(used: _Used) -> list[dict[str, Any]]:
    rows = []
    for ref, counts in used.by_model.items():
        provider, model = split_ref(ref)
        rows.append({"provider": provider, "model": model, "count": counts["calls"], "totals": _totals(counts)})
    return rows


def _totals(counts: Counts) -> dict[str, float]:
    return shown({name: counts[name] for name in COUNTED})


def _aggregates(whole: _Used, by_agent: Mapping[str, _Used]) -> dict[str, Any]:
    providers: dict[str, Counts] = defaultdict(lambda: dict.fromkeys((*COUNTED, "calls"), 0))
    for ref, counts in whole.by_model.items():
        add(providers[split_ref(ref)[0]], counts)
    return {
        "messages": _messages(whole),
        "tools": {"totalCalls": 0, "uniqueTools": 0, "tools": []},
        "byModel": _by_model(whole),
        "byProvider": [
            {"provider": name, "count": counts["calls"], "totals": _totals(counts)}
            for name, counts in providers.items()
        ],
        "byAgent": [{"agentId": agent, "totals": shown(used.counts)} for agent, used in by_agent.items()],
        "byChannel": [],
        "daily": [
            {
                "date": day,
                "tokens": counts["totalTokens"],
                "cost": counts["totalCost"] / USD_MICROS,
                "messages": counts["calls"] - counts["failed"],
                "toolCalls": 0,
                "errors": counts["failed"],
            }
            for day, counts in sorted(whole.by_day.items())
        ],
    }


async def usage_timeseries(room: Room, peer: Peer, params: SessionTimesParams) -> dict[str, Any]:
    """Return a point for each answer of the session's last steps."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    row = await room.deps.agent.session(key, peer.principal)
    steps = await room.deps.agent.history(key, peer.principal, MAX_STEPS)
    prices = {model.ref: model for model in room.deps.models.models()}
    answer: dict[str, Any] = {"points": _points(steps, prices)}
    return answer if row is None else {"sessionId": row.id, **answer}


def _points(steps: Iterable[StepRow], prices: Mapping[str, ModelInfo]) -> list[dict[str, Any]]:
    points = []
    tokens, micros = 0, 0
    for step in steps:
        if step.kind != "model":
            continue
        usage = step.usage
        info = prices.get(f"{step.provider}/{step.model}")
        cost = (cost_usd_micros(info, usage) if info else None) or 0
        tokens += usage.total_tokens
        micros += cost
        read, write = usage.cache_read_tokens, usage.cache_write_tokens
        points.append(
            {
                "timestamp": step.at_ms,
                "input": max(0, usage.input_tokens - read - write),
                "output": usage.output_tokens,
                "cacheRead": read,
                "cacheWrite": write,
                "totalTokens": usage.total_tokens,
                "cost": cost / USD_MICROS,
                "cumulativeTokens": tokens,
                "cumulativeCost": micros / USD_MICROS,
            }
        )
    return points


async def usage_logs(room: Room, peer: Peer, params: SessionLogsParams) -> dict[str, Any]:
    """Return the session's last messages as text."""
    key = room.session_key(peer.principal, params.key, params.agent_id)
    steps = await room.deps.agent.history(key, peer.principal, params.limit)
    logs = []
    for row in message_rows(steps):
        text = "".join(part.get("text", "") for part in row["content"] if part["type"] == "text")
        entry = {"timestamp": row["timestamp"], "role": row["role"], "content": text[:MAX_TEXT_CHARS]}
        if "usage" in row:
            entry["tokens"] = row["usage"].get("totalTokens", 0)
        logs.append(entry)
    return {"logs": logs[-params.limit :]}


METHODS = (
    MethodSpec(
        "sessions.usage",
        SessionsUsageParams,
        "operator.read",
        sessions_usage,
        "Says what the conversations used last used and cost, each and together; messages are counted by model calls.",
        "`{updatedAt, startDate, endDate, sessions: [{key, sessionId, usage{} | null, …}], totals{}, aggregates{}}`; "
        "numbers as in usage.cost.",
        rate=READS,
        announced=False,
    ),
    MethodSpec(
        "sessions.usage.timeseries",
        SessionTimesParams,
        "operator.read",
        usage_timeseries,
        f"Says what each answer of a conversation used, over its last {MAX_STEPS} steps, at today's prices.",
        "`{sessionId?, points: [{timestamp, input, output, cacheRead, cacheWrite, totalTokens, cost, "
        "cumulativeTokens, cumulativeCost}]}`",
        rate=READS,
        announced=False,
    ),
    MethodSpec(
        "sessions.usage.logs",
        SessionLogsParams,
        "operator.read",
        usage_logs,
        f"Returns a conversation's last messages as text, each cut to {MAX_TEXT_CHARS} characters.",
        "`{logs: [{timestamp, role, content, tokens?}]}`",
        rate=READS,
        announced=False,
    ),
)
