"""What the reading methods answer."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio.lowlevel
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.telemetry.tail import NO_CURSOR, tail
from tests.rpc.support import RAW, Bench, FakePeer

pytestmark = pytest.mark.anyio


async def _payload(bench: Bench, method: str, params: dict[str, Any] | None = None, protocol: int = 4) -> Any:
    answer = await bench.ask(FakePeer(protocol), method, params)
    assert answer["ok"], answer
    return answer["payload"]


async def test_health_is_served_from_a_snapshot_at_most_a_second_old(bench: Bench) -> None:
    first = bench.begin(FakePeer(4), "health")
    assert isinstance(first, bytes)
    bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "main"), FakePeer().principal.owner)
    bench.clock.advance(0.5)
    assert bench.begin(FakePeer(4), "health") == first
    probed = await _payload(bench, "health", {"probe": True})
    assert probed["sessions"]["count"] == 1
    assert probed["sessions"]["recent"][0]["key"] == "agent:main:main"
    assert [agent["sessions"]["count"] for agent in probed["agents"]] == [1, 0]


async def test_health_without_the_scope_to_read_tells_no_more_than_that_the_gateway_is_there(bench: Bench) -> None:
    bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "main"), FakePeer().principal.owner)
    assert (await _payload(bench, "health", {"probe": True}))["sessions"]["count"] == 1
    for protocol in (3, 4):
        stranger = FakePeer(protocol, scopes=())
        seen = await bench.ask(stranger, "health", {"probe": True})
        assert seen["ok"]
        told = {name: value for name, value in seen["payload"].items() if value and name != "ts"}
        assert told == {"ok": True, "defaultAgentId": "main", "sessions": {"path": "", "count": 0, "recent": []}}


async def test_health_notices_new_sessions_by_itself(bench: Bench) -> None:
    bench.begin(FakePeer(4), "health")
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    await bench.ask(FakePeer(), "chat.send", {"sessionKey": "main", "message": "x", "idempotencyKey": "1"})
    bench.clock.advance(1)
    bench.begin(FakePeer(4), "health")
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    assert (await _payload(bench, "health"))["sessions"]["count"] == 1


async def test_health_of_protocol_3_has_no_newer_parts(bench: Bench) -> None:
    old, new = await _payload(bench, "health", protocol=3), await _payload(bench, "health", protocol=4)
    assert set(new) - set(old) == {"plugins", "configReload", "modelRuntime", "eventLoop"}
    assert old["ok"] is True


async def test_config_shows_no_secret_and_the_hash_to_write_with(bench: Bench) -> None:
    bench.paths.config_path.write_text(RAW)
    seen: dict[int, str] = {}
    for protocol in (3, 4):
        shown = await _payload(bench, "config.get", protocol=protocol)
        assert "s3cret-token-value" not in str(shown)
        assert shown["raw"].startswith("{\n  // a comment")
        assert shown["parsed"]["gateway"]["auth"]["token"] == "__OPENCLAW_REDACTED__"
        assert shown["config"]["gateway"]["auth"]["token"] == "__OPENCLAW_REDACTED__"
        seen[protocol] = shown["hash"]
        assert ("sourceConfig" in shown) is (protocol == 4)
    assert seen[3] == sha256(RAW.encode()).hexdigest()
    assert re.fullmatch(r"hmac-sha256:v1:[\w-]{43}", seen[4])


async def test_models_and_agents_have_each_protocols_shape(bench: Bench) -> None:
    new = await _payload(bench, "models.list")
    assert [model["id"] for model in new["models"]] == ["fake-1", "locked"]
    assert new["models"][0]["tags"] == ["default"]
    old = await _payload(bench, "models.list", protocol=3)
    assert old["models"] == [
        {
            "id": "fake-1",
            "name": "Fake",
            "provider": "fake",
            "contextWindow": 1000,
            "reasoning": False,
            "input": ["text"],
        }
    ]
    agents = await _payload(bench, "agents.list", protocol=3)
    assert agents == {
        "defaultId": "main",
        "mainKey": "main",
        "scope": "per-sender",
        "agents": [{"id": "main", "name": "main"}, {"id": "bob", "name": "Bob"}],
    }
    assert (await _payload(bench, "agents.list"))["agents"][0]["model"] == {"primary": "fake/fake-1"}
    assert await _payload(bench, "agent.identity.get", protocol=3) == {
        "agentId": "main",
        "name": "Assistant",
        "avatar": "A",
    }
    assert (await _payload(bench, "agent.identity.get", {"agentId": "bob"}))["name"] == "Bob"


async def test_sessions_are_listed_in_pages_and_found_by_text(bench: Bench) -> None:
    for name in ("main", "one", "two"):
        bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, name), FakePeer().principal.owner)
    page = await _payload(bench, "sessions.list", {"limit": 2})
    assert (page["count"], page["totalCount"], page["hasMore"], page["nextOffset"]) == (2, 3, True, 2)
    defaults = {"modelProvider": "fake", "model": "fake-1", "contextTokens": 1000}
    assert page["defaults"].items() >= defaults.items()
    rest = await _payload(bench, "sessions.list", {"limit": 2, "offset": 2})
    assert (rest["count"], rest["hasMore"]) == (1, False)
    found = await _payload(bench, "sessions.list", {"search": "ONE"})
    assert [row["key"] for row in found["sessions"]] == ["agent:main:one"]
    old = await _payload(bench, "sessions.list", {"activeMinutes": 60, "includeGlobal": True}, protocol=3)
    assert set(old) == {"ts", "path", "count", "defaults", "sessions"}


async def test_the_tokens_of_a_session_are_those_of_its_last_prompt_beside_its_models_context(bench: Bench) -> None:
    used = {"input_tokens": 900, "output_tokens": 50}
    rows: dict[str, dict[str, Any]] = {
        "known": {**used, "prompt_tokens": 400},
        "summarised": used,
        "foreign": {"model": "elsewhere/x"},
    }
    for name, fields in rows.items():
        key = bench.agent.resolve_key(LOCAL_OPERATOR, name)
        row = bench.agent.make_session(key, FakePeer().principal.owner)
        bench.agent.table[key] = msgspec.structs.replace(row, **fields)
    listed = (await _payload(bench, "sessions.list"))["sessions"]
    shown = {
        row["displayName"]: (row["totalTokens"], row["totalTokensFresh"], row.get("contextTokens")) for row in listed
    }
    assert shown == {"known": (400, True, 1000), "summarised": (0, False, 1000), "foreign": (0, True, None)}
    bench.clock.advance(60)
    for protocol in (3, 4):
        recent = (await _payload(bench, "status", protocol=protocol))["sessions"]["recent"]
        left = {row["displayName"]: (row["age"], row["remainingTokens"], row["percentUsed"]) for row in recent}
        assert left == {
            "known": (60_000, 600, 40),
            "summarised": (60_000, None, None),
            "foreign": (60_000, None, None),
        }


async def test_a_session_is_changed_reset_and_deleted_but_the_main_one_stays(bench: Bench) -> None:
    for name in ("main", "one"):
        bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, name), FakePeer().principal.owner)
    key = {"key": "agent:main:one"}
    patched = await _payload(bench, "sessions.patch", {**key, "label": "mine", "model": "fake/x"})
    assert patched["entry"] == {
        **patched["entry"],
        "label": "mine",
        "providerOverride": "fake",
        "modelOverride": "x",
    }
    cleared = await _payload(bench, "sessions.patch", {**key, "label": None})
    assert "label" not in cleared["entry"]
    reset = await _payload(bench, "sessions.reset", key)
    assert reset["ok"]
    assert reset["entry"]["sessionId"] != patched["entry"]["sessionId"]
    assert await _payload(bench, "sessions.delete", key) == {"ok": True, **key, "deleted": True, "archived": []}
    assert (await _payload(bench, "sessions.delete", key))["deleted"] is False
    refused = await bench.ask(FakePeer(), "sessions.delete", {"key": "main"})
    assert refused["error"]["message"] == "Cannot delete the main session (agent:main:main)."


async def test_presence_is_a_bare_list_with_the_gateway_first(bench: Bench) -> None:
    bench.hub.join(FakePeer())
    entries = await _payload(bench, "system-presence")
    assert [entry["reason"] for entry in entries] == ["self", "connect"]
    assert await _payload(bench, "last-heartbeat") is None
    assert (await _payload(bench, "status"))["sessions"]["count"] == 0


async def test_the_log_is_read_page_by_page(bench: Bench) -> None:
    path = bench.deps.logs_dir / "openclaw.log"
    nothing = await _payload(bench, "logs.tail")
    assert (nothing["lines"], nothing["cursor"]) == ([], 0)
    path.write_text('{"n":1}\n{"n":2}\n{"n":')
    page = await _payload(bench, "logs.tail", {"limit": 1})
    assert page["lines"] == ['{"n":2}']
    assert page["truncated"] is True
    with path.open("a") as file:
        file.write("3}\n")
    more = await _payload(bench, "logs.tail", {"cursor": page["cursor"]})
    assert (more["lines"], more["truncated"], more["reset"]) == (['{"n":3}'], False, False)
    path.write_text("{}\n")
    rotated = await _payload(bench, "logs.tail", {"cursor": more["cursor"]})
    assert (rotated["lines"], rotated["reset"]) == (["{}"], True)


async def test_a_line_of_our_log_has_the_keys_that_log_viewers_read(bench: Bench) -> None:
    own = {"time": "2026-01-02T03:04:05.678Z", "level": "warning", "event": "slow", "component": "rpc", "ms": 7}
    (bench.deps.logs_dir / "openclaw.log").write_text(json.dumps(own) + "\nnot ours\n[1]\n")
    line, *others = (await _payload(bench, "logs.tail"))["lines"]
    shown = json.loads(line)
    subsystem = '{"subsystem":"rpc"}'
    assert shown.pop("_meta") == {"logLevelName": "WARN", "date": own["time"], "name": subsystem}
    assert shown == {**own, "0": subsystem, "1": "slow ms=7", "message": "slow ms=7"}
    assert others == ["not ours", "[1]"]


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=12), max_size=12),
    step=st.integers(5, 60),
)
def test_following_a_log_gives_each_line_once(lines: list[str], step: int, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    data = "".join(f"{line}\n" for line in lines).encode()
    seen: list[str] = []
    cursor = NO_CURSOR
    for end in (*range(0, len(data), step), len(data)):
        path.write_bytes(data[:end])
        page = tail(path, cursor, 5000, 1_000_000)
        seen += page["lines"]
        cursor = page["cursor"]
    assert seen == lines


async def test_every_answer_is_json_for_both_protocols(bench: Bench) -> None:
    for protocol in (3, 4):
        frame = bench.begin(FakePeer(protocol), "system-presence")
        assert isinstance(frame, bytes)
        assert msgspec.json.decode(frame)["type"] == "res"
