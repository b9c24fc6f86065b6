"""The process over RPC: secrets, updates, restarts, and what is refused by design."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw.rpc.method import MethodSpec
from openclaw.rpc.methods.house.upkeep import METHODS
from tests.rpc.good import GOOD, REFUSALS
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio


async def _ok(bench: Bench, method: str, params: dict[str, Any] | None = None) -> Any:
    answer = await bench.ask(FakePeer(), method, params)
    assert answer["ok"], answer
    return answer["payload"]


@pytest.mark.parametrize("spec", [spec for spec in METHODS if spec.name in REFUSALS], ids=lambda spec: spec.name)
async def test_what_is_refused_by_design_says_what_to_do_instead(spec: MethodSpec, bench: Bench) -> None:
    error = (await bench.ask(FakePeer(), spec.name, GOOD.get(spec.name)))["error"]
    assert error["details"]["code"] == "NOT_SUPPORTED"
    assert len(error["details"]["hint"]) > 20


async def test_no_update_ever_waits(bench: Bench) -> None:
    assert await _ok(bench, "update.status") == {
        "sentinel": None,
        "updateAvailable": None,
        "effectiveChannel": "stable",
        "schedule": {"channel": "stable", "autoEnabled": False, "install": {"kind": "package"}},
    }


async def test_what_a_restart_would_interrupt_is_counted(bench: Bench) -> None:
    assert (await _ok(bench, "gateway.restart.preflight"))["summary"] == "safe to restart now"
    send = {"sessionKey": "main", "message": "x", "idempotencyKey": "1"}
    await bench.ask(FakePeer(), "chat.send", send)
    found = await _ok(bench, "gateway.restart.preflight")
    assert found["safe"] is False
    assert found["counts"]["totalActive"] == 1
    assert found["summary"] in ("1 runs are going", "1 messages wait")


async def test_sign_ins_are_told_by_name_only(bench: Bench) -> None:
    found = await _ok(bench, "models.authStatus")
    (row,) = found["providers"]
    assert (row["provider"], row["status"], row["reason"]) == ("shut", "missing", "no API key")
    assert row["profiles"] == [{"profileId": "work", "type": "api_key", "status": "static"}]
    assert [each["apiKeySupported"] for each in found["providerCapabilities"]] == [False, True]


async def test_models_are_listed_as_asked_for(bench: Bench) -> None:
    every = (await _ok(bench, "models.list", {"view": "all", "includeDetails": True}))["models"]
    assert [(model["id"], model["available"]) for model in every] == [("fake-1", True), ("locked", False)]
    assert every[1]["unavailableReason"] == "missing-auth"
    ready = (await _ok(bench, "models.list", {"preparedOnly": True}))["models"]
    assert [model["id"] for model in ready] == ["fake-1"]
    capable = (await _ok(bench, "models.list", {"includeProviderCapabilities": True}))["models"]
    assert [model["apiKeySupported"] for model in capable] == [False, True]
    assert (await _ok(bench, "models.list", {"view": "provider-config"}))["models"] == []
    assert (await _ok(bench, "models.list", {"agentId": "bob"}))["models"][0]["tags"] == ["default"]
    both = await bench.ask(FakePeer(), "models.list", {"preparedOnly": True, "refresh": True})
    assert both["error"]["code"] == "INVALID_REQUEST"
