"""What clients of the field do, done again to a gateway that runs: no call of theirs goes unanswered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openclaw.client.errors import RpcError
from openclaw.client.ws import GatewayClient
from tests.gateway.client_calls import MAIN, VISITS, Call

from .process import gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def outcome(client: GatewayClient, call: Call) -> str:
    """Return what is wrong with a call's answer, or an empty text."""
    try:
        await client.call(call.method, dict(call.params))
    except RpcError as error:
        if call.refused and error.details.get("code") == call.refused:
            return ""
        return f"{call.method} {call.params}: {error.wire_code} {error.message}"
    return f"{call.method}: answered, not refused" if call.refused else ""


async def test_every_call_of_every_client_is_answered_as_it_expects(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        async with await running.connect() as client:
            await client.call("agent", {"message": "hello", "sessionKey": "main", "idempotencyKey": "k1"}, final=True)
        wrong: list[str] = []
        for visit in VISITS:
            options: dict[str, Any] = {"min_protocol": visit.protocol, "max_protocol": visit.protocol}
            async with await running.connect(**options) as client:
                found = [await outcome(client, call) for call in visit.calls]
                wrong += [f"{visit.name}: {text}" for text in found if text]
        assert not wrong, "\n".join(wrong)


async def test_a_session_lives_a_whole_life_over_the_wire(tmp_path: Path) -> None:
    """Made, talked in, pinned, grouped, found, copied, taken back, archived: each seen by the calls after it."""
    async with gateway(tmp_path) as running, await running.connect() as client:
        made = await client.call("sessions.create", {"label": "the plan", "category": "work"})
        key = made["key"]
        await client.call("agent", {"message": "buy oranges", "sessionKey": key, "idempotencyKey": "k1"}, final=True)
        await client.call("agent", {"message": "and apples", "sessionKey": key, "idempotencyKey": "k2"}, final=True)
        history = (await client.call("chat.history", {"sessionKey": key}))["messages"]
        ids = [message["__openclaw"]["id"] for message in history]
        one = await client.call("chat.message.get", {"sessionKey": key, "messageId": ids[2]})
        assert one["message"] == history[2]

        await client.call("sessions.patch", {"key": key, "pinned": True, "color": "red"})
        row = (await client.call("sessions.describe", {"key": key}))["session"]
        assert (row["pinned"], row["color"], row["category"], row["label"]) == (True, "red", "work", "the plan")
        assert [group["name"] for group in (await client.call("sessions.groups.list"))["groups"]] == ["work"]
        renamed = await client.call("sessions.groups.rename", {"name": "work", "to": "home"})
        assert renamed["updatedSessions"] == 1
        assert [found["key"] for found in (await client.call("sessions.list", {"group": "home"}))["sessions"]] == [key]

        hits = (await client.call("sessions.search", {"query": "ORANGES"}))["results"]
        assert {(hit["messageId"], hit["role"]) for hit in hits} >= {(ids[0], "user")}

        fork = await client.call("sessions.fork", {"sessionKey": key, "entryId": ids[2]})
        assert fork["editorText"] == "and apples"
        copied = (await client.call("chat.history", {"sessionKey": fork["sessionKey"]}))["messages"]
        assert [message["content"] for message in copied] == [message["content"] for message in history[:2]]
        assert len((await client.call("chat.history", {"sessionKey": key}))["messages"]) == len(history)

        back = await client.call("sessions.rewind", {"sessionKey": key, "entryId": ids[0]})
        assert back == {"editorText": "buy oranges"}
        assert (await client.call("chat.history", {"sessionKey": key}))["messages"] == []

        await client.call("sessions.patch", {"key": key, "archived": True})
        assert key not in [found["key"] for found in (await client.call("sessions.list"))["sessions"]]
        archived = (await client.call("sessions.list", {"archived": True}))["sessions"]
        assert [(found["key"], found["pinned"]) for found in archived] == [(key, False)]


async def test_what_a_client_keeps_outlives_the_gateway_and_is_told_to_others(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, await running.connect() as one, await running.connect() as two:
        await one.call("users.prefs.set", {"entries": {"ui.theme": "dark", "ui.size": 3}})
        async for event in two.events():
            if event.name == "users.prefs.changed":
                assert event.payload["keys"] == ["ui.theme", "ui.size"]
                break
        stale = {"entries": {"ui.theme": "light"}, "expectedEntries": {"ui.theme": None}}
        assert await two.call("users.prefs.set", stale) == {"status": "conflict"}
        await two.call("users.prefs.set", {"entries": {"ui.size": None}})
    async with gateway(tmp_path) as running, await running.connect() as again:
        assert await again.call("users.prefs.get") == {"status": "ok", "entries": {"ui.theme": "dark"}}


async def test_a_connection_may_follow_one_session_and_hears_of_no_other(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, await running.connect() as client:
        assert await client.call("sessions.messages.subscribe", {"key": "main"}) == {"subscribed": True, "key": MAIN}
        for name in ("other", "main"):
            await client.call("agent", {"message": name, "sessionKey": name, "idempotencyKey": name}, final=True)
        keys = set()
        async for event in client.events():
            if event.name == "session.message":
                keys.add(event.payload["sessionKey"])
            if event.name == "chat" and event.payload["state"] == "final" and event.payload["runId"] == "main":
                break
        assert keys == {MAIN}
