"""A running gateway whose configuration is YAML, comes in several files, or may not be written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.client.errors import RpcError
from openclaw.client.ws import GatewayClient
from openclaw.config.changes.ledger import Ledger
from tests.gateway.process import TOKEN, GatewayProcess, free_port

pytestmark = pytest.mark.anyio


async def _patch(client: GatewayClient, raw: str) -> dict[str, Any]:
    base = (await client.call("config.get"))["hash"]
    return dict(await client.call("config.patch", {"raw": raw, "baseHash": base, "note": "a test"}))


async def test_a_yaml_file_in_the_short_form_is_changed_by_a_client(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "config.yaml"
    path.write_text(
        f"server: {{ port: {port} }} # ours\ngateway:\n  auth: {{ token: {TOKEN} }}\nllm_provider: fake/echo\n"
    )
    running = await GatewayProcess.start(tmp_path, port, env={"OPENCLAW_CONFIG_PATH": str(path)})
    try:
        await running.ready()
        async with await running.connect() as client:
            assert TOKEN not in str(await client.call("config.get"))
            done = await _patch(client, "{agents: {defaults: {model: 'fake/fake-n3'}}, identity: {name: 'Y'}}")
            assert done["reload"]["status"] == "applied"
            assert (await client.call("config.get"))["runtimeConfig"]["identity"]["name"] == "Y"
    finally:
        await running.stop()
    text = path.read_text()
    assert f"server: {{ port: {port} }} # ours\n" in text
    assert "llm_provider: fake/fake-n3\n" in text.replace('"', "")
    (record,) = Ledger(tmp_path, SYSTEM_CLOCK).records()
    assert (record.method, record.reason, record.outcome) == ("config.patch", "a test", "applied")


async def test_an_included_file_is_watched_and_never_written(tmp_path: Path) -> None:
    port, part = free_port(), tmp_path / "part.json5"
    part.write_text('{ name: "one" } // theirs')
    part.chmod(0o600)
    (tmp_path / "openclaw.json").write_text(
        f'{{ gateway: {{ port: {port}, auth: {{ token: "{TOKEN}" }} }},'
        ' agents: { defaults: { model: "fake/echo" } }, identity: { $include: "part.json5" }, }'
    )
    running = await GatewayProcess.start(tmp_path, port)
    try:
        await running.ready()
        async with await running.connect() as client:
            shown = await client.call("config.get")
            assert shown["includedPaths"] == [str(part)]
            part.write_text('{ name: "two" } // theirs')
            async with asyncio.timeout(10):
                while (await client.call("config.get"))["runtimeConfig"]["identity"]["name"] != "two":
                    pass  # each look waits for the gateway's answer
            done = await _patch(client, "{identity: {name: 'three'}}")
            assert [each for each in done["warnings"] if "part.json5 sets this too" in each["message"]]
            assert (await client.call("config.get"))["runtimeConfig"]["identity"]["name"] == "three"
            with pytest.raises(RpcError, match=r"set in the included file part.json5"):
                await _patch(client, "{identity: {name: null}}")
    finally:
        await running.stop()
    assert part.read_text() == '{ name: "two" } // theirs'


async def test_read_only_mode_refuses_clients_and_says_what_to_do(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "openclaw.json"
    text = f'{{ gateway: {{ port: {port}, auth: {{ token: "{TOKEN}" }} }} }}'
    path.write_text(text)
    running = await GatewayProcess.start(tmp_path, port, env={"OPENCLAW_CONFIG_READONLY": "1"})
    try:
        await running.ready()
        async with await running.connect() as client:
            with pytest.raises(RpcError, match="OPENCLAW_CONFIG_READONLY is set"):
                await _patch(client, "{identity: {name: 'x'}}")
            with pytest.raises(RpcError, match="OPENCLAW_CONFIG_READONLY is set"):
                await client.call("agents.create", {"name": "Bob"})
    finally:
        await running.stop()
    assert path.read_text() == text
