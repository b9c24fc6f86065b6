"""The ledger of a running gateway: every kind of act has its row before its effect, and none holds what was said."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from openclaw.client.errors import RpcError
from openclaw.client.ws import GatewayClient
from openclaw.store.audit import MAX_PAGE, Wanted, in_file, query, verify
from tests.gateway.process import TOKEN, gateway
from tests.gateway.sweep import found_in

pytestmark = pytest.mark.anyio

SAID = "canary-content-4be0c91d77"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


HOOKS = "hooks-token-" + "x7" * 16


async def speak(url: str, http: aiohttp.ClientSession) -> None:
    """Say it to the model, to tools and by hooks."""
    for said in (
        f"hello {SAID}",
        f'/tool write_file {{"path": "note.txt", "content": "{SAID}"}}',
        f'/tool web_fetch {{"url": "https://denied.example/{SAID}?q={SAID}"}}',
        f'/tool memory_write {{"text": "{SAID}"}}',
    ):
        body = {"model": "openclaw", "messages": [{"role": "user", "content": said}]}
        async with http.post(f"{url}/v1/chat/completions", json=body) as answer:
            assert answer.status == 200, said
    headers = {"Authorization": f"Bearer {HOOKS}"}
    for path, note in (("wake", {"text": SAID}), ("agent", {"message": SAID})):
        async with http.post(f"{url}/hooks/{path}", json=note, headers=headers) as answer:
            assert answer.status == 200


async def operate(client: GatewayClient) -> None:
    """Say it in whatever an operator may write."""
    base = (await client.call("config.get"))["hash"]
    await client.call("config.patch", {"raw": f'{{identity: {{name: "{SAID}"}}}}', "baseHash": base})
    for method, params in (
        ("exec.approval.request", {"command": f"echo {SAID}", "timeoutMs": 1000}),
        ("system-event", {"text": SAID}),
        ("chat.inject", {"sessionKey": "main", "message": SAID}),
        ("agents.files.set", {"agentId": "default", "name": "SOUL.md", "content": SAID}),
        ("sessions.patch", {"key": "main", "label": SAID}),
        ("cron.add", _job()),
        ("device.pair.reject", {"requestId": "none"}),
        ("audit.query", {"text": SAID}),
    ):
        with contextlib.suppress(RpcError):
            await client.call(method, params)


async def test_what_was_done_is_there_and_what_was_said_is_not(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "networkPolicy": {"egressAllowlist": ["allowed.example"]},
        "hooks": {"enabled": True, "token": HOOKS},
    }
    async with gateway(tmp_path, **sections) as running, await running.connect() as client:
        async with aiohttp.ClientSession(headers=HEADERS) as http:
            await speak(running.http_url, http)
        await operate(client)
        async with await running.connect(scopes=("operator.read",)) as reader:
            with pytest.raises(RpcError, match="scope"):
                await reader.call("config.patch", {"raw": f"{{identity: {{name: '{SAID}'}}}}"})
    path = tmp_path / "openclaw.db"
    assert SAID.encode() in path.read_bytes()  # the conversation is kept there, too
    rows = in_file(path, lambda db: query(db, Wanted(limit=MAX_PAGE, last_first=False)))
    assert in_file(path, verify).problem == ""
    assert [row for row in rows if row.entry.run or row.entry.kind == "admin" if not row.entry.request] == []
    kinds = {row.entry.kind for row in rows}
    assert {"run", "tool", "egress", "config", "approval", "admin", "pairing"} <= kinds, kinds
    denied = {(row.entry.kind, row.entry.action, row.entry.rule) for row in rows if row.entry.answer == "deny"}
    assert ("config", "config.patch", "scope.missing") in denied
    assert {row.entry.target for row in rows if row.entry.kind == "egress"} == {"denied.example:443"}
    assert {row.entry.target for row in rows if row.entry.kind == "file"} == {"note.txt"}  # the name, not what is in it
    told = json.dumps([str(row) for row in rows])
    assert found_in(told.encode(), {"what was said": SAID, "token": TOKEN}) == []


def _job() -> dict[str, Any]:
    return {
        "name": "a job",
        "schedule": {"kind": "every", "everyMs": 86_400_000},
        "sessionTarget": "main",
        "wakeMode": "now",
        "payload": {"kind": "systemEvent", "text": SAID},
    }
